"""Requests that must not be granted."""

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fecosr.errors import ConfigError, CryptoError
from fecosr.provisioning.approval import REQUEST_DAYS
from fecosr.provisioning.enrolment import begin_enrolment
from fecosr.provisioning.federation_file import FederationFile
from fecosr.provisioning.request import read_request, write_request
from tests.reference.enrolment_office import DAY, DE, FR, NOW, Office


def test_nobody_is_enrolled_whose_fingerprint_was_not_confirmed(office: Office) -> None:
    request = office.request(DE)
    with pytest.raises(ConfigError, match=r"not enrolled yet.*--fingerprint"):
        office.approve(request)
    with pytest.raises(ConfigError, match="not the request with that fingerprint"):
        office.approve(request, confirmed=bytes(32))
    assert office.authority.register.parties == {}


FIELDS: dict[str, object] = {
    "party": FR,
    "made": NOW + timedelta(seconds=1),
    "identity": bytes(32),
    "signature": bytes(64),
    "previous": bytes(32),
    "authority": bytes(32),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_request_that_was_tampered_with_does_not_verify(office: Office, name: str) -> None:
    tampered: Any = dataclasses.replace(office.request(DE), **{name: FIELDS[name]})  # type: ignore[arg-type]
    with pytest.raises(CryptoError):
        office.approve(tampered, confirmed=tampered.fingerprint())


def test_another_partys_tls_key_cannot_be_certified_under_ones_own_name(office: Office) -> None:
    stolen = office.request(FR).signing_request
    mine = dataclasses.replace(office.request(DE), signing_request=stolen)
    with pytest.raises(CryptoError, match="signature does not verify"):
        office.approve(mine, confirmed=mine.fingerprint())


def test_a_request_for_another_federation_is_refused(
    office: Office, tmp_path: Path, federation: FederationFile
) -> None:
    other = Office(tmp_path / "other", federation)
    request = other.request(DE)
    with pytest.raises(ConfigError, match="for another federation"):
        office.approve(request, confirmed=request.fingerprint())


@pytest.mark.parametrize(
    ("later", "complaint"),
    [(timedelta(days=REQUEST_DAYS, seconds=1), "older than"), (timedelta(hours=-1), "made in the future")],
)
def test_an_old_request_and_one_from_the_future_are_refused(
    office: Office, later: timedelta, complaint: str
) -> None:
    request = office.request(DE)
    with pytest.raises(ConfigError, match=complaint):
        office.approve(request, NOW + later, confirmed=request.fingerprint())


def test_a_replayed_request_is_refused(running: Office, tmp_path: Path) -> None:
    first = running.rotate(DE, NOW + DAY)
    write_request(tmp_path / "kept.json", first)
    running.approve(first, NOW + DAY)
    with pytest.raises(ConfigError, match="approved before"):
        running.approve(read_request(tmp_path / "kept.json"), NOW + 2 * DAY)


def test_a_stranger_cannot_ask_in_the_name_of_a_party(running: Office, tmp_path: Path) -> None:
    impostor = begin_enrolment(
        tmp_path / "x", DE, running.authority.fingerprint(), NOW + DAY, lambda size: b"\xee" * size
    )
    with pytest.raises(ConfigError, match="not that of de, nor handed over by it"):
        running.approve(impostor, NOW + DAY)
    with pytest.raises(ConfigError, match="not that of de, nor handed over by it"):
        running.approve(impostor, NOW + DAY, confirmed=impostor.fingerprint())


def test_two_parties_never_share_an_identity(office: Office) -> None:
    office.enrol(DE)
    same = begin_enrolment(
        office.kit("fr"), FR, office.authority.fingerprint(), NOW, lambda size: bytes([1]) * size
    )
    with pytest.raises(ConfigError, match="already that of de"):
        office.approve(same, confirmed=same.fingerprint())
