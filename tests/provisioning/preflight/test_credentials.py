import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from fecosr.errors import ConfigError, CryptoError
from fecosr.ids import NodeId
from fecosr.provisioning.kits import Kits
from fecosr.provisioning.preflight.credentials import (
    check_certificates,
    check_clock,
    check_identity,
    check_permissions,
    check_revocations,
)
from fecosr.provisioning.preflight.findings import Finding, Level
from fecosr.provisioning.preflight.kit import Kit
from fecosr.rpc.certificates import Credential, create_authority
from fecosr.rpc.revocation import sign_revocations
from tests.reference.loopback import FR, NOW

DAY = timedelta(days=1)
CHECKS = [check_permissions, check_identity, check_certificates, check_revocations, check_clock]


def worst(findings: list[Finding]) -> Finding:
    """Return the first finding that is not well, or else the first."""
    return next((finding for finding in findings if finding.level is not Level.OK), findings[0])


def fr(kits: Kits) -> Path:
    return kits.nodes[FR].parent


@pytest.mark.parametrize("check", CHECKS)
def test_a_new_kit_is_as_it_should_be(
    node: Kit, coordinator: Kit, check: Callable[[Kit], list[Finding]]
) -> None:
    for kit in (node, coordinator):
        found = list(check(kit))
        assert [finding.level for finding in found] == [Level.OK] * len(found)
        assert found


def test_keys_that_others_may_read_are_found_with_the_command_that_helps(node: Kit) -> None:
    node.config.identity.chmod(0o640)
    found = worst(list(check_permissions(node)))
    assert (found.level, found.remedy) == (Level.FAILURE, f"chmod 600 {node.config.identity}")
    node.config.identity.chmod(0o600)
    node.config.tls.key.unlink()
    assert "No such file" in worst(list(check_permissions(node))).message


def test_a_kit_that_others_may_write_into_is_found(node: Kit) -> None:
    node.folder.chmod(0o777)
    found = worst(list(check_permissions(node)))
    assert (found.level, found.remedy) == (Level.FAILURE, f"chmod 700 {node.folder}")


def test_an_identity_that_the_roster_does_not_pin_is_found(node: Kit, kits: Kits) -> None:
    shutil.copy(fr(kits) / "identity.key", node.config.identity)
    found = worst(list(check_identity(node)))
    assert (found.level, found.message) == (Level.FAILURE, "the roster pins another identity for de")
    stranger = replace(node, party=NodeId("jp"))
    assert worst(list(check_identity(stranger))).message == "the roster does not know jp"


def test_another_partys_certificate_is_found(node: Kit, kits: Kits) -> None:
    for name in ("certificate.pem", "key.pem"):
        shutil.copy(fr(kits) / "tls" / name, node.folder / "tls" / name)
    found = worst(list(check_certificates(node)))
    assert (found.level, found.message) == (Level.FAILURE, "names fecosr:node:fr, not fecosr:node:de")


def test_a_certificate_of_another_authority_is_an_error(node: Kit) -> None:
    node.config.tls.ca.write_bytes(create_authority("other", NOW, 10).certificate)
    with pytest.raises(ConfigError, match="was not signed by the authority"):
        list(check_certificates(node))


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [(334, Level.OK, "good for 30 days"), (336, Level.WARNING, "expires in 28 days")],
)
def test_expiry_is_said_a_month_ahead(node: Kit, days: int, level: Level, words: str) -> None:
    found = check_certificates(replace(node, now=NOW + days * DAY))
    expiry = next(finding for finding in found if finding.check == "expiry")
    assert expiry.level is level
    assert words in expiry.message


def test_an_expired_certificate_is_an_error_with_both_explanations(node: Kit) -> None:
    with pytest.raises(ConfigError, match="provision a new certificate, or set this machine's clock"):
        list(check_certificates(replace(node, now=NOW + 366 * DAY)))


def test_a_party_that_was_revoked_learns_it(node: Kit, authority: Credential) -> None:
    mine = x509.load_pem_x509_certificate(node.config.tls.certificate.read_bytes()).serial_number
    node.config.tls.revoked.write_bytes(sign_revocations(authority, [(mine, NOW)], 9, NOW))
    assert worst(list(check_revocations(node))).message == "this party's certificate is revoked"
    node.config.tls.revoked.write_bytes(sign_revocations(authority, [], 10, NOW))
    assert worst(list(check_revocations(replace(node, now=NOW + 91 * DAY)))).level is Level.WARNING
    node.config.tls.revoked.unlink()
    assert "nobody counts as revoked" in worst(list(check_revocations(node))).message


def test_a_forged_revocation_list_is_an_error(node: Kit) -> None:
    node.config.tls.revoked.write_bytes(sign_revocations(create_authority("other", NOW, 10), [], 1, NOW))
    with pytest.raises(CryptoError, match="not signed by this federation's authority"):
        list(check_revocations(node))


def test_a_clock_that_is_behind_is_found_by_what_the_kit_holds(node: Kit) -> None:
    wrong = replace(node, now=NOW - 2 * DAY)
    found = worst(list(check_clock(wrong)))
    assert (found.level, found.remedy) == (Level.FAILURE, "set this machine's clock, best by NTP")
    for path in (node.folder, *node.folder.rglob("*")):
        os.utime(path, (0, 0))
    found = worst(list(check_clock(wrong)))
    assert found.level is Level.WARNING
    assert "behind the making of this certificate" in found.message


def test_the_coordinators_operator_sees_where_its_certificate_is_good(coordinator: Kit, node: Kit) -> None:
    assert next(check_certificates(coordinator)).message.startswith(
        "names fecosr:coordinator, for 127.0.0.1, "
    )
    assert ", for " not in next(check_certificates(node)).message
