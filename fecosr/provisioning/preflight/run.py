"""Carry out every check on a kit. This file is the list of what preflight looks at, in order."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from fecosr.errors import FecosrError
from fecosr.provisioning.preflight.agreement import check_earlier_state, check_plan, check_policy
from fecosr.provisioning.preflight.credentials import (
    check_certificates,
    check_clock,
    check_identity,
    check_permissions,
    check_revocations,
)
from fecosr.provisioning.preflight.database import check_database
from fecosr.provisioning.preflight.disk import check_storage
from fecosr.provisioning.preflight.findings import Finding, Level, from_error
from fecosr.provisioning.preflight.interactions import check_data, check_semantics
from fecosr.provisioning.preflight.kit import Kit, read_kit
from fecosr.provisioning.preflight.network import check_coordinator, check_port
from fecosr.provisioning.preflight.pages import check_pages

Check = Callable[[Kit], Iterator[Finding]]

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("permissions", check_permissions),
    ("identity", check_identity),
    ("certificate", check_certificates),
    ("revocations", check_revocations),
    ("clock", check_clock),
    ("plan", check_plan),
    ("policy", check_policy),
    ("storage", check_storage),
    ("database", check_database),
    ("state", check_earlier_state),
    ("port", check_port),
    ("web", check_pages),
    ("reach", check_coordinator),
    ("data", check_data),
    ("semantics", check_semantics),
)
"""Every check, with the name under which it reports what it did not foresee."""


def preflight(path: Path, now: datetime, expected_plan: bytes | None = None) -> Iterator[Finding]:
    """Yield what each check of the kit at `path` finds, as soon as it is found.

    Args:
        path: the folder of a kit, or its configuration file.
        now: an aware time.
        expected_plan: the plan hash that another party read out, if one did.

    Raises:
        ConfigError: there is no kit; everything else is a finding.
    """
    kit = read_kit(path, now, expected_plan)
    for name, check in CHECKS:
        yield from _findings(name, check, kit)


def holds(findings: Sequence[Finding]) -> bool:
    """Return whether a process started with this kit would work."""
    return all(finding.level is not Level.FAILURE for finding in findings)


def _findings(name: str, check: Check, kit: Kit) -> Iterator[Finding]:
    try:
        yield from check(kit)
    except FecosrError as error:
        yield from_error(name, error)
