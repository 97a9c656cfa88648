import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from fecosr.rpc.certificates import create_authority, issue_coordinator, issue_node
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
    assert (key_usage.key_cert_sign, key_usage.digital_signature) == (True, False)


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
