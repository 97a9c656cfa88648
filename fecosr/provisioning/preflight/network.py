"""Look at the network as far as one side can: the coordinator's port, a node's way to the coordinator."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from cryptography import x509

from fecosr.config.parties import CoordinatorConfig, NodeConfig
from fecosr.errors import ConfigError, ConnectionLost
from fecosr.provisioning.preflight.credentials import check_expiry, load_certificate, uris_of
from fecosr.provisioning.preflight.disk import in_use
from fecosr.provisioning.preflight.findings import Finding, failure, from_error, ok, warning
from fecosr.provisioning.preflight.kit import Kit
from fecosr.rpc.admission import ask_admission
from fecosr.rpc.certificates import COORDINATOR_URI
from fecosr.rpc.revocation import verify_revocations
from fecosr.rpc.tls import PeerNameError

CONNECT_SECONDS: Final = 5.0
HTTP2_GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""Connection preface and an empty SETTINGS frame (RFC 9113, Section 3.4): whoever accepts us answers."""

_DISTRUST: Final = {
    "expired": "the coordinator's certificate expired, or the clock of this machine is ahead",
    "not yet valid": "the clock of this machine is behind the coordinator's certificate",
    "mismatch": "the coordinator's certificate is for another host name than node.toml dials",
    "self-signed": "whoever answers there has a certificate of another authority",
    "unable to get local issuer": "whoever answers there has a certificate of another authority",
    "signature failure": "whoever answers there has a certificate of another authority",
}


def check_port(kit: Kit) -> Iterator[Finding]:
    """Check that the coordinator can listen where it is told to; nothing answers there meanwhile."""
    if not isinstance(kit.config, CoordinatorConfig):
        return
    host, _, port = kit.config.listen.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
            yield ok("port", f"{kit.config.listen} is free")
        except OSError as error:
            yield _taken(kit, error)


def check_coordinator(kit: Kit) -> Iterator[Finding]:
    """Check that this node reaches the coordinator, that it is the one, and that it lets the node in."""
    if not isinstance(kit.config, NodeConfig):
        return
    host, _, port = kit.config.coordinator.rpartition(":")
    try:
        connection = socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS)
    except socket.gaierror:
        yield failure(
            "reach", f"no address is known for {host}", "correct coordinator in node.toml, or the DNS"
        )
        return
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror
        remedy = "is the coordinator running, and does every firewall in between let this machine dial out?"
        yield warning("reach", f"{kit.config.coordinator} cannot be reached: {reason}", remedy)
        return
    with connection:
        yield ok("reach", f"{kit.config.coordinator} answers; this node needs no open port of its own")
        try:
            peer = _handshake(kit, connection, host)
        except ssl.SSLCertVerificationError as error:
            yield _distrust(error.verify_message)
            return
        except (ssl.SSLError, OSError) as error:
            message = f"the coordinator hangs up on this kit's certificate: {_reason_of(error)}"
            remedy = "is it expired, or of another authority? see expiry and certificate above"
            yield failure("tls", message, remedy)
            return
    yield from _check_peer(kit, peer)
    yield from _check_admission(kit)


def _handshake(kit: Kit, connection: socket.socket, host: str) -> x509.Certificate:
    """Return the coordinator's certificate once it has accepted ours, which TLS 1.3 only shows afterwards."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(kit.config.tls.ca)
    context.load_cert_chain(kit.config.tls.certificate, kit.config.tls.key)
    context.set_alpn_protocols(["h2"])
    with context.wrap_socket(connection, server_hostname=host) as secure:
        secure.sendall(HTTP2_GREETING)
        if not secure.recv(9):
            raise ConnectionResetError(errno.ECONNRESET, "the connection was closed")
        der = secure.getpeercert(binary_form=True)
    if der is None:
        raise ConnectionResetError(errno.ECONNRESET, "the coordinator showed no certificate")
    return x509.load_der_x509_certificate(der)


def _check_peer(kit: Kit, peer: x509.Certificate) -> Iterator[Finding]:
    if uris_of(peer) != [COORDINATOR_URI]:
        named = ", ".join(uris_of(peer)) or "nobody"
        yield failure("tls", f"whoever answers there is {named}, not the coordinator", "tell its owner")
        return
    yield ok("tls", "it is the coordinator of this federation, and accepts this kit's certificate")
    yield from check_expiry(
        "expiry",
        "the coordinator's certificate",
        peer,
        kit.now,
        "tell the coordinator's operator to rotate it",
    )
    if kit.config.tls.revoked.exists():
        authority = load_certificate(kit.config.tls.ca)
        try:
            verify_revocations(kit.config.tls.revoked.read_bytes(), authority).check(peer)
        except PeerNameError:
            yield failure("tls", "the coordinator's certificate is revoked", "stop, and ask the owner")


def _check_admission(kit: Kit) -> Iterator[Finding]:
    if in_use(kit):
        yield ok("admission", "not asked, because a node runs with this kit")
        return
    assert isinstance(kit.config, NodeConfig)  # noqa: S101 - only nodes dial
    try:
        asyncio.run(ask_admission(kit.config.coordinator, kit.tls))
    except ConfigError as error:
        yield from_error("admission", error)
    except ConnectionLost as error:
        yield warning("admission", f"the coordinator did not say: {error}", "is it a FeCoSR coordinator?")
    else:
        yield ok("admission", "the coordinator's roster has this market, and nobody revoked it")


def _taken(kit: Kit, error: OSError) -> Finding:
    listen = kit.config.listen if isinstance(kit.config, CoordinatorConfig) else ""
    if error.errno == errno.EADDRINUSE and in_use(kit):
        return ok("port", f"{listen} is taken, as it seems by the coordinator that runs with this kit")
    remedies = {
        errno.EADDRINUSE: "stop what listens there, or change listen in coordinator.toml",
        errno.EADDRNOTAVAIL: "listen on an address of this machine, or on 0.0.0.0",
        errno.EACCES: "choose a port above 1023, or give the process CAP_NET_BIND_SERVICE",
    }
    remedy = remedies.get(error.errno or 0, "change listen in coordinator.toml")
    return failure("port", f"{listen} cannot be taken: {error.strerror}", remedy)


def _distrust(message: str) -> Finding:
    found = (meaning for words, meaning in _DISTRUST.items() if words in message.lower())
    remedy = "compare tls/ca.pem, the host name in node.toml, and the dates"
    return failure("tls", next(found, f"the coordinator's certificate is not trusted: {message}"), remedy)


def _reason_of(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or type(error).__name__
