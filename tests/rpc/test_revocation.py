"""Revoked certificates, in values and at the coordinator's port."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from fecosr.errors import ConfigError, CryptoError
from fecosr.federation.messages import Finished
from fecosr.rpc.certificates import create_authority
from fecosr.rpc.coordinator_server import CoordinatorServer
from fecosr.rpc.listener import listen
from fecosr.rpc.node_client import NodeClient
from fecosr.rpc.revocation import LIST_DAYS, Revocations, sign_revocations, verify_revocations
from fecosr.rpc.tls import PeerNameError, TlsFiles
from tests.reference.loopback import DE, FR, HELLO, NOW, ROSTER, Kits, Loopback, clock

FINISHED = Finished(bytes(32))
AUTHORITY = create_authority("test", NOW, 10)
ROOT = x509.load_pem_x509_certificate(AUTHORITY.certificate)


def certificate_of(files: TlsFiles) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes())


def context_of(files: TlsFiles) -> dict[str, list[bytes]]:
    return {"x509_pem_cert": [files.certificate.read_bytes()]}


def replace(path: Path, content: bytes) -> None:
    """Replace a file as operators do, by one with another inode."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def test_a_list_says_what_was_put_into_it() -> None:
    found = verify_revocations(sign_revocations(AUTHORITY, [(7, NOW), (9, NOW)], 3, NOW), ROOT)
    assert (found.number, found.serials) == (3, frozenset({7, 9}))
    assert found.renew_by == (NOW + timedelta(days=LIST_DAYS)).replace(microsecond=0)
    empty = verify_revocations(sign_revocations(AUTHORITY, [], 1, NOW), ROOT)
    assert empty.serials == frozenset()


def test_a_list_of_another_authority_is_refused() -> None:
    other = create_authority("test", NOW, 10)
    with pytest.raises(CryptoError, match="not signed by this federation's authority"):
        verify_revocations(sign_revocations(other, [], 1, NOW), ROOT)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN X509 CRL-----\n", AUTHORITY.certificate])
def test_what_is_no_list_is_refused(content: bytes) -> None:
    with pytest.raises(CryptoError, match="not a revocation list"):
        verify_revocations(content, ROOT)


@pytest.fixture
def revoked_file(tmp_path: Path) -> Path:
    return tmp_path / "revoked.pem"


def listing(kits: Kits, number: int, *files: TlsFiles) -> bytes:
    serials = [(certificate_of(each).serial_number, NOW) for each in files]
    return sign_revocations(kits.authority, serials, number, NOW)


def test_a_list_that_appears_or_changes_counts_from_the_next_call_on(kits: Kits, revoked_file: Path) -> None:
    de, fr = kits.node(DE), kits.node(FR)
    revocations = Revocations(revoked_file, de.authority)
    revocations.check(context_of(de))
    assert revocations.current is None
    replace(revoked_file, listing(kits, 1, de))
    with pytest.raises(PeerNameError, match="revoked"):
        revocations.check(context_of(de))
    revocations.check(context_of(fr))
    replace(revoked_file, listing(kits, 2, de, fr))
    with pytest.raises(PeerNameError, match="revoked"):
        revocations.check(context_of(fr))


def test_neither_an_older_nor_a_forged_list_is_taken_over(kits: Kits, revoked_file: Path) -> None:
    de = kits.node(DE)
    replace(revoked_file, listing(kits, 5, de))
    revocations = Revocations(revoked_file, de.authority)
    for content in (listing(kits, 4), sign_revocations(AUTHORITY, [], 9, NOW), b"half a fi"):
        replace(revoked_file, content)
        with pytest.raises(PeerNameError, match="revoked"):
            revocations.check(context_of(de))
    revoked_file.unlink()
    with pytest.raises(PeerNameError, match="revoked"):
        revocations.check(context_of(de))


def test_a_list_that_does_not_verify_at_the_start_is_an_error(kits: Kits, revoked_file: Path) -> None:
    revoked_file.write_bytes(sign_revocations(AUTHORITY, [], 1, NOW))
    with pytest.raises(ConfigError, match=r"revoked\.pem: cannot be used: .* not signed"):
        Revocations(revoked_file, kits.node(DE).authority)


async def test_a_revoked_node_is_turned_away_and_told_why_while_the_others_stay(
    loopback: Loopback, kits: Kits, revoked_file: Path
) -> None:
    de, fr = kits.node(DE), kits.node(FR)
    files = kits.coordinator()
    server = CoordinatorServer(
        listen("127.0.0.1:0", files, NOW, 3),
        roster=ROSTER,
        handler=loopback.handler,
        models=loopback.models,
        uploads=loopback.sink,
        revocations=Revocations(revoked_file, files.authority),
    )
    await server.start()
    try:
        replace(revoked_file, listing(kits, 1, de))
        async with NodeClient(f"127.0.0.1:{server.port}", de, clock=clock) as client:
            with pytest.raises(ConfigError, match=r"certificate is revoked \(provision this node again\)"):
                await client.session().__aenter__()
        async with (
            NodeClient(f"127.0.0.1:{server.port}", fr, clock=clock) as client,
            client.session() as session,
        ):
            await session.send(HELLO)
            assert (await loopback.handler.next()).node == FR
    finally:
        await server.stop(grace_seconds=1.0)


async def test_a_connection_that_is_open_already_ends_when_its_certificate_is_revoked(
    loopback: Loopback, kits: Kits, revoked_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fecosr.rpc.coordinator_server.RECHECK_SECONDS", 0.01)
    de, fr = kits.node(DE), kits.node(FR)
    files = kits.coordinator()
    server = CoordinatorServer(
        listen("127.0.0.1:0", files, NOW, 3),
        roster=ROSTER,
        handler=loopback.handler,
        models=loopback.models,
        uploads=loopback.sink,
        revocations=Revocations(revoked_file, files.authority),
    )
    await server.start()
    try:
        async with (
            NodeClient(f"127.0.0.1:{server.port}", fr, clock=clock) as stays,
            stays.session() as other,
            NodeClient(f"127.0.0.1:{server.port}", de, clock=clock) as client,
            client.session() as session,
        ):
            await other.send(HELLO)
            await session.send(HELLO)
            assert {(await loopback.handler.next()).node for _ in range(2)} == {DE, FR}
            replace(revoked_file, listing(kits, 1, de))
            with pytest.raises(ConfigError, match="certificate is revoked"):
                await anext(session.messages())
            gone = await loopback.handler.next()
            assert (gone.kind, gone.node) == ("disconnected", DE)
            await other.send(FINISHED)
            assert (await loopback.handler.next()).kind == "received"
    finally:
        await server.stop(grace_seconds=1.0)
