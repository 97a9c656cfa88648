from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from structlog.testing import LogCapture

from fecosr.rpc.certificates import create_authority
from fecosr.rpc.expiry import WARNING_DAYS, days_left, expires_soon, warn_of_expiry
from tests.reference.loopback import NOW


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(create_authority("test", NOW, 100).certificate)
    return path


@pytest.mark.parametrize(
    ("after_days", "left"),
    [(69, []), (71, [28]), (99, [0]), (101, [-2])],
    ids=["far", "near", "last", "over"],
)
def test_the_log_says_so_a_month_ahead(certificate: Path, after_days: int, left: list[int]) -> None:
    capture = LogCapture()
    log = structlog.wrap_logger(None, processors=[capture])
    warn_of_expiry(log, NOW + timedelta(days=after_days), certificate)
    assert [entry["days_left"] for entry in capture.entries] == left
    assert all(entry["event"] == "certificate_expires_soon" for entry in capture.entries)
    assert all(entry["file"] == str(certificate) for entry in capture.entries)


def test_what_cannot_be_read_is_left_to_who_needs_it(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_bytes(b"")
    capture = LogCapture()
    log = structlog.wrap_logger(None, processors=[capture])
    warn_of_expiry(log, NOW, tmp_path / "empty.pem", tmp_path / "absent.pem")
    assert capture.entries == []


def test_days_are_whole(certificate: Path) -> None:
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert days_left(found, NOW) in {99, 100}
    assert days_left(found, NOW + timedelta(days=100 - WARNING_DAYS, hours=1)) == WARNING_DAYS - 1


@pytest.mark.parametrize(("lifetime_days", "from_day"), [(3650, 3620), (365, 335), (30, 20), (3, 2)])
def test_a_certificate_made_for_a_short_time_is_not_announced_from_its_first_day_on(
    lifetime_days: int, from_day: int
) -> None:
    found = x509.load_pem_x509_certificate(create_authority("test", NOW, lifetime_days).certificate)
    assert not expires_soon(found, NOW + timedelta(days=from_day, hours=-1))
    assert expires_soon(found, NOW + timedelta(days=from_day, hours=1))
