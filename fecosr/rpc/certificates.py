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
    """Return a new certificate authority, which can sign leaves and nothing else.

    Args:
        name: shown to people who look at the certificate.
        now: aware time.
        validity_days: how long it lasts.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    certificate = (
        _builder(subject, subject, key.public_key(), now, validity_days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _credential(certificate, key)


def issue_coordinator(
    authority: Credential, hosts: Sequence[str], now: datetime, validity_days: int
) -> Credential:
    """Return the coordinator's leaf, good for serving at `hosts` (DNS names and IP addresses)."""
    names = [x509.UniformResourceIdentifier(COORDINATOR_URI), *map(_host, hosts)]
    return _issue(authority, COORDINATOR, names, ExtendedKeyUsageOID.SERVER_AUTH, (now, validity_days))


def issue_node(authority: Credential, node: NodeId, now: datetime, validity_days: int) -> Credential:
    """Return the leaf of `node`, good for dialling in."""
    names = [x509.UniformResourceIdentifier(NODE_URI + node)]
    return _issue(authority, node, names, ExtendedKeyUsageOID.CLIENT_AUTH, (now, validity_days))


def _issue(
    authority: Credential,
    name: str,
    alternative_names: Sequence[x509.GeneralName],
    usage: x509.ObjectIdentifier,
    validity: tuple[datetime, int],
) -> Credential:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not an elliptic curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(name), issuer.subject, key.public_key(), *validity)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternative_names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return _credential(certificate, key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    validity_days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=validity_days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
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


def _credential(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Credential:
    return Credential(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
