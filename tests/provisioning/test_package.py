"""Whatever is done to a package on its way, it is refused or says what was packed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fecosr.errors import ConfigError, CryptoError
from fecosr.provisioning.package import Package, read_package, verify_package
from fecosr.provisioning.request import read_request, verify_request, write_request
from tests.reference.enrolment_office import DE, Office

Opened = Callable[[bytes], Package | None]


@pytest.fixture
def opened(running: Office, tmp_path: Path) -> Opened:
    """Return what these bytes are as a package of this federation, or None when they are refused."""
    path = tmp_path / "arrived.fecosr-kit"

    def open_it(content: bytes) -> Package | None:
        path.write_bytes(content)
        try:
            package = read_package(path)
            verify_package(package, running.authority.fingerprint())
        except (ConfigError, CryptoError):
            return None
        return package

    return open_it


SLOW_FIXTURE = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOW_FIXTURE
@given(data=st.data())
def test_no_flipped_byte_changes_what_is_taken_over(
    running: Office, opened: Opened, data: st.DataObject
) -> None:
    content = bytearray((running.folder / "de-203001010000.fecosr-kit").read_bytes())
    packed = opened(bytes(content))
    assert packed is not None
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    changed = opened(bytes(content))
    assert changed is None or (changed.files, changed.manifest) == (packed.files, packed.manifest)


@SLOW_FIXTURE
@given(end=st.integers(0, 6000))
def test_a_package_that_was_cut_short_is_refused(running: Office, opened: Opened, end: int) -> None:
    content = (running.folder / "de-203001010000.fecosr-kit").read_bytes()
    assert opened(content[: min(end, len(content) - 1)]) is None


@SLOW_FIXTURE
@given(data=st.data())
def test_no_flipped_byte_of_a_request_verifies(office: Office, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "request.json"
    if not path.exists():
        write_request(path, office.request(DE))
        (tmp_path / "kept.json").write_bytes(path.read_bytes())
    kept = (tmp_path / "kept.json").read_bytes()
    content = bytearray(kept)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 127))
    path.write_bytes(content)
    try:
        changed = read_request(path)
        verify_request(changed)
    except (ConfigError, CryptoError):
        return
    path.write_bytes(kept)
    assert changed.fingerprint() == read_request(path).fingerprint()
