import hashlib
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from fecosr.errors import ConfigError
from fecosr.rpc.certificates import (
    Credential,
    certify_node,
    create_authority,
    fingerprint,
    issue_coordinator,
    issue_node,
    new_key,
    signing_key,
)
from tests.reference.loopback import DE, NOW

AUTHORITY = create_authority("test", NOW, 10)


def load(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def usage(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_the_authority_signs_leaves_and_nothing_below_them() -> None:
    extensions = load(AUTHORITY.certificate).extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    key_usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    assert (key_usage.key_cert_sign, key_usage.crl_sign) == (True, True)


def test_a_node_may_dial_in_and_nothing_else() -> None:
    leaf = load(issue_node(AUTHORITY, DE, NOW, 10).certificate)
    leaf.verify_directly_issued_by(load(AUTHORITY.certificate))
    assert usage(leaf) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert list(names(leaf)) == [x509.UniformResourceIdentifier("fecosr:node:de")]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_coordinator_may_serve_under_its_hosts() -> None:
    leaf = load(issue_coordinator(AUTHORITY, ["coordinator.example.org", "10.0.0.7"], NOW, 10).certificate)
    assert usage(leaf) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert names(leaf).get_values_for_type(x509.DNSName) == ["coordinator.example.org"]
    assert [str(ip) for ip in names(leaf).get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]
    assert names(leaf).get_values_for_type(x509.UniformResourceIdentifier) == ["fecosr:coordinator"]


def test_validity_is_counted_from_now() -> None:
    leaf = load(issue_node(AUTHORITY, DE, NOW, 7).certificate)
    assert leaf.not_valid_after_utc == (NOW + timedelta(days=7)).replace(microsecond=0)
    assert leaf.not_valid_before_utc < NOW


def test_the_key_is_written_for_its_owner_only_and_never_over_another(tmp_path: Path) -> None:
    credential = issue_node(AUTHORITY, DE, NOW, 7)
    credential.write(tmp_path / "certificate.pem", tmp_path / "key.pem")
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        credential.write(tmp_path / "certificate.pem", tmp_path / "key.pem")


def test_the_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(AUTHORITY)


def test_a_leaf_can_be_made_for_a_key_that_stays_elsewhere() -> None:
    key = new_key()
    leaf = load(certify_node(AUTHORITY, DE, key.public_key(), NOW, 10))
    leaf.verify_directly_issued_by(load(AUTHORITY.certificate))
    assert leaf.public_key() == key.public_key()


def test_no_leaf_outlives_its_authority() -> None:
    leaf = load(issue_node(AUTHORITY, DE, NOW, 400).certificate)
    assert leaf.not_valid_after_utc == load(AUTHORITY.certificate).not_valid_after_utc


def test_an_authority_signs_with_its_own_key_only() -> None:
    other = create_authority("other", NOW, 10)
    assert signing_key(other).public_key() == load(other.certificate).public_key()
    with pytest.raises(ConfigError, match="not the one of its certificate"):
        issue_node(Credential(AUTHORITY.certificate, other.key), DE, NOW, 7)
    with pytest.raises(ConfigError, match="not a private key"):
        signing_key(Credential(AUTHORITY.certificate, b"-----BEGIN nothing"))


def test_the_fingerprint_is_that_of_the_der_encoding() -> None:
    der = load(AUTHORITY.certificate).public_bytes(serialization.Encoding.DER)
    assert fingerprint(AUTHORITY.certificate) == hashlib.sha256(der).digest()
