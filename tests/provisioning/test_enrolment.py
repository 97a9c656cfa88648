"""Enrolment and rotation, from the request to the finished kit."""

import dataclasses
import stat
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509

from fecosr.config.parties import load_coordinator, load_identity, load_node, load_roster
from fecosr.config.plan import load_plan
from fecosr.errors import ConfigError, CryptoError
from fecosr.ids import COORDINATOR
from fecosr.provisioning.approval import expel, revoke_superseded
from fecosr.provisioning.enrolment import PENDING
from fecosr.rpc.revocation import verify_revocations
from fecosr.rpc.tls import TlsFiles, check_leaf
from tests.reference.enrolment_office import DAY, DE, FR, NOW, Office, contents


def secrets_of(kit: Path) -> list[bytes]:
    return [path.read_bytes() for path in kit.rglob("*key*") if path.is_file()]


def test_everybody_ends_up_with_a_kit_that_the_binaries_can_use(running: Office) -> None:
    coordinator = load_coordinator(running.kit(COORDINATOR) / "coordinator.toml")
    assert coordinator.listen == "0.0.0.0:7443"
    assert coordinator.initial_model.read_bytes() == b"model"
    roster = load_roster(coordinator.roster)
    assert roster.coordinator == load_identity(coordinator.identity).public
    for name in (DE, FR):
        node = load_node(running.kit(name) / "node.toml")
        assert (node.market, node.coordinator, node.data.kind) == (name, "fed.example.org:7443", "csv")
        assert load_roster(node.roster) == roster
        assert roster.nodes[name] == load_identity(node.identity).public
        assert load_plan(node.plan).hash() == running.authority.plan.hash()
        check_leaf(TlsFiles(node.tls.ca, node.tls.certificate, node.tls.key), NOW)
        assert not (running.kit(name) / PENDING).exists()


def test_no_private_key_ever_leaves_its_party(running: Office) -> None:
    secrets = {name: secrets_of(running.kit(name)) for name in (COORDINATOR, DE, FR)}
    assert all(len(found) == 2 for found in secrets.values())
    for name, found in secrets.items():
        elsewhere = [
            content for path, content in contents(running.folder).items() if not path.startswith(f"{name}/")
        ]
        assert not any(secret in content for secret in found for content in elsewhere)


def test_private_keys_are_their_owners_alone_before_and_after(office: Office) -> None:
    office.enrol(COORDINATOR, DE, FR)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in office.kit("de").rglob("*key*")]
    office.accept(DE, office.package(DE))
    modes += [stat.S_IMODE(path.stat().st_mode) for path in office.kit("de").rglob("*key*")]
    assert modes == [0o600] * 4


def test_what_a_party_wrote_into_its_own_configuration_stays(running: Office) -> None:
    config = running.kit("de") / "node.toml"
    config.write_text(config.read_text().replace("max_rounds = 4", "max_rounds = 2"))
    accepted = running.accept(DE, running.package(DE, NOW + DAY), NOW + DAY)
    assert not accepted.config_written
    assert load_node(config).policy.max_rounds == 2


def test_a_changed_plan_is_announced(running: Office) -> None:
    plan = running.authority.plan
    longer = plan.model_copy(update={"run": plan.run.model_copy(update={"rounds": 9})})
    running.authority = dataclasses.replace(running.authority, plan=longer)
    accepted = running.accept(DE, running.package(DE, NOW + DAY), NOW + DAY)
    assert accepted.plan_changed
    assert load_plan(running.kit("de") / "plan.toml").run.rounds == 9


def test_a_new_certificate_for_the_same_identity_needs_no_phone_call(running: Office) -> None:
    kit, later = running.kit("de"), NOW + 340 * DAY
    before = contents(kit)
    request = running.rotate(DE, later)
    assert {
        name: content for name, content in contents(kit).items() if not name.startswith(PENDING)
    } == before
    running.approve(request, later)
    running.accept(DE, running.package(DE, later), later)
    after = contents(kit)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"tls/key.pem", "tls/certificate.pem", "tls/revoked.pem", "package.json"}
    certificate = x509.load_pem_x509_certificate(after["tls/certificate.pem"])
    assert certificate.not_valid_after_utc == later + 365 * DAY


def test_a_new_identity_is_handed_over_by_the_old_one_and_reaches_everybody(running: Office) -> None:
    later = NOW + DAY
    old = load_identity(running.kit("de") / "identity.key").public
    running.approve(running.rotate(DE, later, new_identity=True), later)
    assert load_identity(running.kit("de") / "identity.key").public == old, "the kit works on until accepted"
    for party in (DE, FR, COORDINATOR):
        running.accept(party, running.package(party, later), later)
    new = load_identity(running.kit("de") / "identity.key").public
    assert new != old
    assert load_roster(running.kit("fr") / "roster.toml").nodes[DE] == new


def test_a_handover_needs_the_old_identitys_signature(running: Office) -> None:
    request = running.rotate(DE, NOW + DAY, new_identity=True)
    with pytest.raises(CryptoError):
        running.approve(dataclasses.replace(request, handover=bytes(64)), NOW + DAY)
    swapped = dataclasses.replace(request, handover=request.signature)
    with pytest.raises(CryptoError):
        running.approve(swapped, NOW + DAY)


def test_one_request_at_a_time(running: Office) -> None:
    running.rotate(DE, NOW)
    with pytest.raises(ConfigError, match="a request is pending"):
        running.rotate(DE, NOW)


def serials(office: Office, now: datetime) -> set[int]:
    authority = x509.load_pem_x509_certificate(office.authority.credential.certificate)
    return set(verify_revocations(office.authority.revocations(now), authority).serials)


def serial_of(kit: Path) -> int:
    return x509.load_pem_x509_certificate((kit / "tls" / "certificate.pem").read_bytes()).serial_number


def test_a_party_that_is_revoked_is_out_for_good_with_these_keys(running: Office) -> None:
    later = NOW + DAY
    old_request = running.rotate(DE, later)
    running.authority = running.authority.store(expel(running.authority.register, DE, later), later)
    assert serials(running, later) == {serial_of(running.kit("de"))}
    assert verify_revocations(
        (running.folder / "authority" / "revoked.pem").read_bytes(),
        x509.load_pem_x509_certificate(running.authority.credential.certificate),
    ).serials == serials(running, later)
    with pytest.raises(ConfigError, match="this identity was revoked"):
        running.approve(old_request, later, confirmed=old_request.fingerprint())
    with pytest.raises(ConfigError, match="1 of the 2 markets that the plan needs are enrolled"):
        running.package(FR, later)
    with pytest.raises(ConfigError, match="de is not enrolled"):
        expel(running.authority.register, DE, later)


def test_after_a_rotation_the_older_certificate_alone_can_be_revoked(running: Office) -> None:
    later, old = NOW + DAY, serial_of(running.kit("de"))
    with pytest.raises(ConfigError, match="one certificate only"):
        revoke_superseded(running.authority.register, DE, later)
    running.approve(running.rotate(DE, later), later)
    running.accept(DE, running.package(DE, later), later)
    running.authority = running.authority.store(
        revoke_superseded(running.authority.register, DE, later), later
    )
    assert serials(running, later) == {old}
    assert serial_of(running.kit("de")) != old
