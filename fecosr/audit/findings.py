"""What an audit finds, and what the findings add up to."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Weight(StrEnum):
    """Say what a finding means for the verdict."""

    BROKEN = "broken"
    """Something is there and is wrong."""
    MISSING = "missing"
    """Something is not there, so nothing can be said."""


class Status(StrEnum):
    """Say what an audit comes to."""

    VERIFIED = "verified"
    NOT_VERIFIED = "not_verified"
    UNUSABLE = "unusable"

    @property
    def exit_code(self) -> int:
        """Return the exit code of `fecosr audit`: 0 verified, 1 not verified, 2 unusable input."""
        return {Status.VERIFIED: 0, Status.NOT_VERIFIED: 1, Status.UNUSABLE: 2}[self]


@dataclass(frozen=True, slots=True)
class Finding:
    """Name one thing that keeps a run from being verified.

    Attributes:
        record: position of the ledger record, from 0; None when it is not about one record.
        rule: short name of the rule.
        message: one plain sentence.
        weight: whether something is wrong or missing.
    """

    record: int | None
    rule: str
    message: str
    weight: Weight = Weight.BROKEN


def missing(rule: str, message: str) -> Finding:
    """Return the finding that something is not there."""
    return Finding(None, rule, message, Weight.MISSING)


def status_of(findings: Iterable[Finding]) -> Status:
    """Return the verdict: a broken rule outweighs a missing file, and only no finding at all is a pass."""
    weights = {finding.weight for finding in findings}
    if Weight.BROKEN in weights:
        return Status.NOT_VERIFIED
    return Status.UNUSABLE if weights else Status.VERIFIED
