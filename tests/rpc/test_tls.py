from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fecosr.errors import ConfigError
from fecosr.rpc.tls import (
    PeerNameError,
    TlsFiles,
    channel_credentials,
    check_leaf,
    peer_node,
    server_credentials,
)
from tests.reference.loopback import DE, NOW, Kits


def context_with(*uris: str) -> dict[str, list[bytes]]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    if uris:
        alternative = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(alternative, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return {"x509_pem_cert": [certificate.public_bytes(serialization.Encoding.PEM)]}


def test_the_name_stands_in_the_certificate() -> None:
    assert peer_node(context_with("fecosr:node:jp-2")) == "jp-2"


@pytest.mark.parametrize(
    "uris",
    [
        (),
        ("fecosr:coordinator",),
        ("fecosr:node:",),
        ("fecosr:node:DE",),
        ("fecosr:node:coordinator",),
        ("fecosr:node:de/../fr",),
        ("https://example.org/fecosr:node:de",),
        ("fecosr:node:de", "fecosr:node:fr"),
        ("fecosr:node:de", "fecosr:coordinator"),
    ],
)
def test_a_certificate_that_names_no_single_node_is_refused(uris: tuple[str, ...]) -> None:
    with pytest.raises(PeerNameError, match="names no market node"):
        peer_node(context_with(*uris))


def test_a_peer_without_a_certificate_is_refused() -> None:
    with pytest.raises(PeerNameError, match="showed no certificate"):
        peer_node({})


def test_good_files_make_credentials(kits: Kits) -> None:
    server_credentials(kits.coordinator(), NOW)
    channel_credentials(kits.node(DE), NOW)


def test_an_expired_certificate_is_named_before_anybody_dials(kits: Kits) -> None:
    files = kits.expired_node(DE)
    with pytest.raises(ConfigError, match=r"certificate\.pem: is valid from .* to .* UTC"):
        channel_credentials(files, NOW)


def test_a_certificate_from_the_future_is_named(kits: Kits) -> None:
    with pytest.raises(ConfigError, match="set this machine's clock"):
        check_leaf(kits.node(DE), NOW - timedelta(days=1))


def test_files_of_two_kits_are_noticed(kits: Kits, tmp_path: Path) -> None:
    other = Kits(tmp_path, "other")
    mixed = TlsFiles(other.node(DE).authority, kits.node(DE).certificate, kits.node(DE).key)
    with pytest.raises(ConfigError, match="was not signed by the authority"):
        check_leaf(mixed, NOW)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN NONSENSE-----\n"])
def test_a_file_that_is_no_certificate_is_named(kits: Kits, content: bytes | None) -> None:
    files = kits.node(DE)
    files.certificate.unlink()
    if content is not None:
        files.certificate.write_bytes(content)
    with pytest.raises(ConfigError, match=r"certificate\.pem: (cannot be read|is not a)"):
        channel_credentials(files, NOW)


@pytest.mark.parametrize("credentials", [channel_credentials, server_credentials])
def test_a_key_that_is_not_the_certificates_own_is_named(
    kits: Kits, credentials: Callable[[TlsFiles, datetime], object]
) -> None:
    files = kits.node(DE)
    mixed = TlsFiles(files.authority, files.certificate, kits.node(DE).key)
    with pytest.raises(ConfigError, match=r"key\.pem: is not the key of .*certificate\.pem"):
        credentials(mixed, NOW)


@pytest.mark.parametrize("locked", [False, True])
def test_a_key_that_cannot_be_read_is_named_without_showing_it(kits: Kits, locked: bool) -> None:
    files = kits.node(DE)
    content = b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
    if locked:
        protection = serialization.BestAvailableEncryption(b"a password")
        key = ec.generate_private_key(ec.SECP256R1())
        content = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    files.key.write_bytes(content)
    with pytest.raises(ConfigError, match=r"key\.pem: is not a private key") as caught:
        channel_credentials(files, NOW)
    assert "c2VjcmV0" not in str(caught.value)
