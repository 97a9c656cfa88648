"""Make the certificates of a federation: one authority, one leaf for the coordinator and one for every node.

A leaf names its owner in exactly one URI: `fecosr:coordinator` or `fecosr:node:<name>`. Only the
coordinator's is good for serving and only the nodes' are good for dialling in, so no node can pose as the
coordinator.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR, NodeId

NODE_URI: Final = "fecosr:node:"
COORDINATOR_URI: Final = "fecosr:coordinator"
CLOCK_SKEW: Final = timedelta(minutes=10)
"""How far before `now` a certificate begins, for peers whose clock is behind."""

_KEY_FILE_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Credential:
    """Hold a certificate and its private key, both as PEM.

    Attributes:
        certificate: may be shown to anyone.
        key: PKCS #8, not encrypted.
    """

    certificate: bytes
    key: bytes = field(repr=False)

    def write(self, certificate_file: Path, key_file: Path) -> None:
        """Write both files, the key readable by its owner only; an existing key file is not replaced.

        Raises:
            FileExistsError: `key_file` is there.
        """
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _KEY_FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.key)
        certificate_file.write_bytes(self.certificate)


def create_authority(name: str, now: datetime, validity_days: int) -> Credential:
    """Return a new certificate authority, which signs leaves, their revocation and what goes with them.

    Args:
        name: shown to people who look at the certificate.
        now: aware time.
        validity_days: how long it lasts.
    """
    key = new_key()
    subject = _name(name)
    certificate = (
        _builder(subject, subject, key.public_key(), now, now + timedelta(days=validity_days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Credential(certificate.public_bytes(serialization.Encoding.PEM), key_pem(key))


def issue_coordinator(
    authority: Credential, hosts: Sequence[str], now: datetime, validity_days: int
) -> Credential:
    """Return the coordinator's leaf and its key, good for serving at `hosts` (DNS names and IP addresses)."""
    key = new_key()
    return Credential(
        certify_coordinator(authority, hosts, key.public_key(), now, validity_days), key_pem(key)
    )


def issue_node(authority: Credential, node: NodeId, now: datetime, validity_days: int) -> Credential:
    """Return the leaf of `node`, good for dialling in, and its key."""
    key = new_key()
    return Credential(certify_node(authority, node, key.public_key(), now, validity_days), key_pem(key))


def certify_coordinator(
    authority: Credential,
    hosts: Sequence[str],
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    validity_days: int,
) -> bytes:
    """Return the coordinator's leaf for a key that never was here, good for serving at `hosts`; PEM."""
    names = [x509.UniformResourceIdentifier(COORDINATOR_URI), *map(_host, hosts)]
    leaf = _Leaf(COORDINATOR, names, ExtendedKeyUsageOID.SERVER_AUTH)
    return _certify(authority, leaf, public_key, now, validity_days)


def certify_node(
    authority: Credential,
    node: NodeId,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    validity_days: int,
) -> bytes:
    """Return the leaf of `node` for a key that never was here, good for dialling in; PEM."""
    leaf = _Leaf(node, [x509.UniformResourceIdentifier(NODE_URI + node)], ExtendedKeyUsageOID.CLIENT_AUTH)
    return _certify(authority, leaf, public_key, now, validity_days)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new private key of the kind every certificate of a federation has."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return `key` as PKCS #8, not encrypted; PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signing_key(authority: Credential) -> ec.EllipticCurvePrivateKey:
    """Return the private key of `authority`.

    Raises:
        ConfigError: it is none, or not the one of the certificate.
    """
    certificate = x509.load_pem_x509_certificate(authority.certificate)
    try:
        key = serialization.load_pem_private_key(authority.key, password=None)
    except (ValueError, TypeError):
        raise ConfigError("the authority's key is not a private key without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ConfigError("the authority's key is not the one of its certificate")
    return key


def fingerprint(certificate: bytes) -> bytes:
    """Return the SHA-256 of a PEM certificate, as `openssl x509 -fingerprint -sha256` computes it."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class _Leaf:
    """Say whose a leaf is and what it is good for."""

    name: str
    alternative_names: Sequence[x509.GeneralName]
    usage: x509.ObjectIdentifier


def _certify(
    authority: Credential,
    leaf: _Leaf,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    validity_days: int,
) -> bytes:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = signing_key(authority)
    # A leaf that outlives its authority would look good in every list and be refused by every peer.
    end = min(now + timedelta(days=validity_days), issuer.not_valid_after_utc)
    certificate = (
        _builder(_name(leaf.name), issuer.subject, public_key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([leaf.usage]), critical=True)
        .add_extension(x509.SubjectAlternativeName(leaf.alternative_names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        # The authority also signs the packages that carry roster and plan to the parties.
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
