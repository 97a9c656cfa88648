"""Load what a process proves its name with, and read the name that its peer has proved."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fecosr.errors import ConfigError
from fecosr.ids import NodeId, node_id
from fecosr.rpc.certificates import NODE_URI

_PEER_CERTIFICATE: Final = "x509_pem_cert"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Name the three PEM files of one process.

    Attributes:
        authority: certificate of the only authority whose leaves are accepted.
        certificate: this process's leaf.
        key: the leaf's private key.
    """

    authority: Path
    certificate: Path
    key: Path


class PeerNameError(ValueError):
    """Report a certificate that names no market node, or is good no longer."""


def server_credentials(files: TlsFiles, now: datetime) -> grpc.ServerCredentials:
    """Return what the coordinator serves with: every client must show a leaf of the authority.

    Raises:
        ConfigError: a file cannot be read, or the leaf is not good at `now`.
    """
    check_leaf(files, now)
    authority, certificate, key = map(_read_pem, (files.authority, files.certificate, files.key))
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)


def channel_credentials(files: TlsFiles, now: datetime) -> grpc.ChannelCredentials:
    """Return what a node dials out with: the server must show a leaf of the authority for its host.

    Raises:
        ConfigError: a file cannot be read, or the leaf is not good at `now`.
    """
    check_leaf(files, now)
    authority, certificate, key = map(_read_pem, (files.authority, files.certificate, files.key))
    return grpc.ssl_channel_credentials(authority, key, certificate)


def peer_node(auth_context: Mapping[str, Iterable[bytes]]) -> NodeId:
    """Return the node that the peer's certificate names; TLS has verified the certificate itself.

    Raises:
        PeerNameError: there is no certificate, or it does not name exactly one market node.
    """
    certificate = peer_certificate(auth_context)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise PeerNameError("the certificate names no market node") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1 or not uris[0].startswith(NODE_URI):
        raise PeerNameError("the certificate names no market node")
    try:
        return node_id(uris[0].removeprefix(NODE_URI))
    except ValueError:
        raise PeerNameError("the certificate names no market node") from None


def peer_certificate(auth_context: Mapping[str, Iterable[bytes]]) -> x509.Certificate:
    """Return the certificate that the peer showed and TLS has verified.

    Raises:
        PeerNameError: there is none.
    """
    certificates = list(auth_context.get(_PEER_CERTIFICATE, ()))
    if len(certificates) != 1:
        raise PeerNameError("the peer showed no certificate")
    return x509.load_pem_x509_certificate(certificates[0])


def check_leaf(files: TlsFiles, now: datetime) -> None:
    """Check that a peer can accept this process's certificate, because a peer that does not just hangs up.

    Raises:
        ConfigError: it is not valid at `now`, another authority signed it, or the key is not its own.
    """
    leaf = _load(files.certificate)
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not begin <= now <= end:
        raise ConfigError(
            f"is valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
            remedy="provision a new certificate, or set this machine's clock",
            source=str(files.certificate),
        )
    try:
        leaf.verify_directly_issued_by(_load(files.authority))
    except (ValueError, TypeError, InvalidSignature):
        raise ConfigError(
            f"was not signed by the authority in {files.authority}",
            remedy="take both files from one kit",
            source=str(files.certificate),
        ) from None
    if _public_key(files.key) != leaf.public_key():
        raise ConfigError(
            f"is not the key of {files.certificate}",
            remedy="take both files from one kit",
            source=str(files.key),
        )


def _public_key(file: Path) -> object:
    """Return the public half of a private key."""
    try:
        return load_pem_private_key(_read_pem(file), password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError("is not a private key without a password", source=str(file)) from None


def _load(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(_read_pem(file))
    except ValueError:
        raise ConfigError("is not a certificate", source=str(file)) from None


def _read_pem(file: Path) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(file)) from None
    if not data.startswith(b"-----BEGIN "):
        raise ConfigError("is not a PEM file", source=str(file))
    return data
