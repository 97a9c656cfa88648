"""The port, and the way to a coordinator that is really there, or is somebody else."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from fecosr.ids import NodeId
from fecosr.provisioning.preflight.disk import in_use
from fecosr.provisioning.preflight.findings import Finding, Level
from fecosr.provisioning.preflight.kit import Kit
from fecosr.provisioning.preflight.network import check_coordinator, check_port
from fecosr.rpc.certificates import Credential
from fecosr.rpc.revocation import sign_revocations
from fecosr.rpc.tls import TlsFiles
from fecosr.storage.lock import OwnerLock
from tests.reference import loopback as federation
from tests.reference.loopback import DE, FR, NOW, Loopback


def test_a_free_port_is_free_again_afterwards(coordinator: Kit, node: Kit, port: int) -> None:
    for _ in range(2):
        assert [finding.level for finding in check_port(coordinator)] == [Level.OK]
    assert list(check_port(node)) == []
    socket.create_server(("127.0.0.1", port)).close()


def test_a_taken_port_is_found_unless_the_coordinator_itself_has_it(coordinator: Kit, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        found = next(check_port(coordinator))
        assert (found.level, "Address already in use" in found.message) == (Level.FAILURE, True)
        lock = OwnerLock(coordinator.config.storage / "ledger.jsonl.lock")
        assert in_use(coordinator)
        assert next(check_port(coordinator)).level is Level.OK
        lock.release()


@pytest.mark.parametrize(
    ("listen", "remedy"),
    [("192.0.2.1:7443", "an address of this machine"), ("no.such.host.invalid:1", "change")],
)
def test_an_address_of_another_machine_is_found(coordinator: Kit, listen: str, remedy: str) -> None:
    config = coordinator.config.model_copy(update={"listen": listen})
    found = next(check_port(replace(coordinator, config=config)))
    assert found.level is Level.FAILURE
    assert remedy in found.remedy


def test_a_coordinator_that_does_not_run_yet_is_a_warning(node: Kit) -> None:
    (found,) = check_coordinator(node)
    assert (found.level, "Connection refused" in found.message) == (Level.WARNING, True)


def test_a_host_that_nobody_knows_is_found(node: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.create_connection", unknown)
    (found,) = check_coordinator(node)
    assert (found.level, found.message) == (Level.FAILURE, "no address is known for 127.0.0.1")


Met = Callable[..., list[Finding]]


@pytest.fixture
def met(node: Kit, port: int, tmp_path: Path) -> Met:
    """Return what the node finds while a coordinator with these files and this roster serves at its port."""
    loopback = Loopback(federation.Kits(tmp_path, "unused"))

    def meet(tls: TlsFiles, roster: Sequence[NodeId] = (DE, FR)) -> list[Finding]:
        async def meeting() -> list[Finding]:
            async with loopback.server(port, roster, tls):
                return await asyncio.to_thread(lambda: list(check_coordinator(node)))

        return asyncio.run(meeting())

    return meet


@pytest.fixture
def issuer(authority: Credential, tmp_path: Path) -> federation.Kits:
    """Issue further certificates of the federation's own authority."""
    issuer = federation.Kits(tmp_path, "issuer")
    issuer.authority = authority
    return issuer


def test_a_running_coordinator_is_recognised_and_lets_the_node_in(met: Met, coordinator: Kit) -> None:
    assert [(finding.check, finding.level) for finding in met(coordinator.tls)] == [
        ("reach", Level.OK),
        ("tls", Level.OK),
        ("expiry", Level.OK),
        ("admission", Level.OK),
    ]


def test_a_coordinator_of_another_federation_is_found(met: Met, tmp_path: Path) -> None:
    found = met(federation.Kits(tmp_path, "stranger").coordinator())[-1]
    assert (found.level, "another authority" in found.message) == (Level.FAILURE, True)


def test_a_coordinator_under_another_name_is_found(met: Met, issuer: federation.Kits) -> None:
    found = met(issuer.coordinator(["elsewhere.example.org"]))[-1]
    assert (found.level, "another host name" in found.message) == (Level.FAILURE, True)


@pytest.mark.parametrize(
    ("days", "words"), [(-40, "expired, or the clock of this machine is ahead"), (2, "is behind")]
)
def test_a_coordinator_at_another_time_is_found(
    met: Met, issuer: federation.Kits, monkeypatch: pytest.MonkeyPatch, days: int, words: str
) -> None:
    monkeypatch.setattr("fecosr.rpc.tls.check_leaf", lambda *_: None)
    found = met(issuer.coordinator(now=NOW + timedelta(days=days)))[-1]
    assert (found.level, words in found.message) == (Level.FAILURE, True)


def test_a_node_that_answers_in_place_of_the_coordinator_is_not_taken_for_it(
    met: Met, issuer: federation.Kits
) -> None:
    assert met(issuer.node(FR))[-1].level is Level.FAILURE


def test_a_node_with_an_expired_certificate_is_told_that_it_is_its_own(
    met: Met, node: Kit, coordinator: Kit, issuer: federation.Kits
) -> None:
    expired = issuer.expired_node(DE)
    expired.certificate.replace(node.tls.certificate)
    expired.key.replace(node.tls.key)
    found = met(coordinator.tls)[-1]
    assert (found.check, found.level) == ("tls", Level.FAILURE)
    assert "hangs up on this kit's certificate" in found.message


def test_a_coordinator_that_was_revoked_is_found(
    met: Met, node: Kit, coordinator: Kit, authority: Credential
) -> None:
    serial = x509.load_pem_x509_certificate(coordinator.tls.certificate.read_bytes()).serial_number
    node.config.tls.revoked.write_bytes(sign_revocations(authority, [(serial, NOW)], 9, NOW))
    messages = [finding.message for finding in met(coordinator.tls)]
    assert "the coordinator's certificate is revoked" in messages


def test_a_node_that_is_not_in_the_coordinators_roster_is_told_so(met: Met, coordinator: Kit) -> None:
    found = met(coordinator.tls, [FR])[-1]
    assert (found.check, found.level) == ("admission", Level.FAILURE)
    assert found.message == "the coordinator refuses this node: de is not in the roster"


def test_a_node_that_runs_is_not_disturbed(met: Met, node: Kit, coordinator: Kit) -> None:
    lock = OwnerLock(node.config.storage / "node.sqlite.lock")
    found = met(coordinator.tls)[-1]
    lock.release()
    assert (found.check, found.message) == ("admission", "not asked, because a node runs with this kit")


def test_something_else_that_listens_there_is_found(node: Kit, port: int) -> None:
    async def meet() -> list[Finding]:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", port)
        async with server:
            return await asyncio.to_thread(lambda: list(check_coordinator(node)))

    found = asyncio.run(meet())[-1]
    assert (found.check, found.level) == ("tls", Level.FAILURE)
