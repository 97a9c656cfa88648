from datetime import timedelta
from pathlib import Path

import pytest

from fecosr.errors import ConfigError
from fecosr.provisioning.enrolment import PENDING
from fecosr.provisioning.kits import Kits
from fecosr.provisioning.preflight.findings import Level
from fecosr.provisioning.preflight.interactions import check_data
from fecosr.provisioning.preflight.kit import Kit
from fecosr.provisioning.preflight.run import CHECKS, holds, preflight
from tests.reference.loopback import DE, NOW


def test_kits_as_they_were_made_pass_but_for_the_coordinator_that_is_not_there_yet(kits: Kits) -> None:
    for path in (kits.coordinator, kits.nodes[DE], kits.nodes[DE].parent):
        found = list(preflight(path, NOW))
        assert holds(found)
        assert [finding.check for finding in found if finding.level is Level.WARNING] in ([], ["reach"])


def test_every_finding_that_is_not_well_says_what_to_do(kits: Kits, tmp_path: Path) -> None:
    kit = kits.nodes[DE].parent
    (tmp_path / "orders.csv").unlink()
    (kit / "identity.key").chmod(0o644)
    (kit / "tls" / "ca.pem").write_text("nothing")
    (kit / "roster.toml").write_text("coordinator = 7\n")
    found = list(preflight(kit, NOW + timedelta(days=400)))
    bad = [finding for finding in found if finding.level is not Level.OK]
    assert {finding.check for finding in bad} >= {"permissions", "identity", "certificate", "plan", "data"}
    assert all(finding.remedy for finding in bad)
    assert all("\n" not in finding.message + finding.remedy for finding in found)
    assert not holds(found)


def test_one_check_that_fails_keeps_no_other_from_its_turn(kits: Kits) -> None:
    kit = kits.nodes[DE].parent
    for path in (kit / "plan.toml", kit / "roster.toml", kit / "identity.key"):
        path.unlink()
    checks = {finding.check for finding in preflight(kit, NOW)}
    assert {"certificate", "clock", "data", "reach"} <= checks
    assert len(CHECKS) == len({name for name, _ in CHECKS})


def test_no_secret_is_shown(kits: Kits) -> None:
    kit = kits.nodes[DE].parent
    secret = (kit / "identity.key").read_bytes()
    said = "".join(finding.message + finding.remedy for finding in preflight(kit, NOW))
    assert secret.hex()[:16] not in said
    assert "PRIVATE" not in said


def test_a_folder_that_is_no_kit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a kit"):
        list(preflight(tmp_path, NOW))
    (tmp_path / PENDING).mkdir()
    with pytest.raises(ConfigError, match="its request is pending"):
        list(preflight(tmp_path, NOW))
    with pytest.raises(ConfigError, match="is not a kit"):
        list(preflight(tmp_path / "absent", NOW))


def test_the_markets_data_are_read_as_the_node_will(node: Kit, coordinator: Kit, tmp_path: Path) -> None:
    (found,) = check_data(node)
    assert (found.level, found.message) == (Level.OK, "36 interactions of 6 users with 6 items")
    assert list(check_data(coordinator)) == []
    (tmp_path / "orders.csv").write_text("customer,item,timestamp\nu,i,1\n")
    missing = next(finding for finding in preflight(node.folder, NOW) if finding.check == "data")
    assert missing.level is Level.FAILURE
    assert "user" in missing.message


def test_a_market_without_the_node_extra_is_told_how_to_get_it(
    node: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fecosr.provisioning.preflight.interactions.find_spec", lambda _: None)
    (found,) = check_data(node)
    assert (found.level, found.remedy) == (Level.FAILURE, "pip install 'fecosr[node]'")
