"""The authority's folder."""

from pathlib import Path

import pytest

from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.authority import open_authority
from tests.reference.enrolment_office import DAY, DE, FR, NOW, Office


def test_a_package_waits_until_everybody_is_enrolled(office: Office) -> None:
    office.enrol(DE)
    with pytest.raises(ConfigError, match="the coordinator is not enrolled"):
        office.package(DE)
    office.enrol(COORDINATOR)
    with pytest.raises(ConfigError, match="1 of the 2 markets that the plan needs are enrolled"):
        office.package(DE)
    with pytest.raises(ConfigError, match="jp is not enrolled"):
        office.package(NodeId("jp"))


def test_the_authority_finds_its_place_again_and_lets_in_one_process_at_a_time(office: Office) -> None:
    office.enrol(DE, FR)
    folder = office.folder / "authority"
    with open_authority(folder, NOW) as again:
        assert again == office.authority
        with pytest.raises(Exception, match="in use by another process"), open_authority(folder, NOW):
            pass


def test_a_folder_that_is_no_authoritys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not an authority's folder"), open_authority(tmp_path, NOW):
        pass
    assert list(tmp_path.iterdir()) == [], "not even a lock"


def test_an_expired_or_mixed_up_authority_is_refused(office: Office) -> None:
    folder = office.folder / "authority"
    with pytest.raises(ConfigError, match="valid until"), open_authority(folder, NOW + 3651 * DAY):
        pass
    (folder / "key.pem").write_bytes((office.folder / "authority" / "certificate.pem").read_bytes())
    with pytest.raises(ConfigError, match="not a private key"), open_authority(folder, NOW):
        pass


def test_a_key_that_others_may_read_makes_no_parties(office: Office) -> None:
    (office.folder / "authority" / "key.pem").chmod(0o640)
    with (
        pytest.raises(ConfigError, match="others may read"),
        open_authority(office.folder / "authority", NOW),
    ):
        pass
