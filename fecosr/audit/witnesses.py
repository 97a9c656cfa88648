"""Compare the ledger with what the markets signed of it: only that shows a ledger cut short or forked.

A market signs every head it is shown, and only one that continues all it signed before. It keeps each with
the coordinator's signature; the coordinator keeps the latest of each market. So the latest head of a market
speaks for all before it: its signatures are verified, and the earlier ones are compared with the ledger.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fecosr.audit.findings import Finding, missing
from fecosr.audit.story import Story
from fecosr.errors import LedgerError
from fecosr.federation.cohort import Roster
from fecosr.ids import NodeId
from fecosr.ledger.checkpoint import verify_checkpoint
from fecosr.ledger.countersignature import (
    Countersignature,
    KeptHead,
    decode_countersignature,
    decode_kept,
    verify_countersignature,
)
from fecosr.ledger.log import Head, Log


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold what a run folder has of the markets' signatures.

    Attributes:
        kept: for every market of the roster the bytes of its own `checkpoints.jsonl`; None: it is not there.
        held: the bytes of the coordinator's `countersignatures.jsonl`; None: it is not there.
    """

    kept: Mapping[NodeId, bytes | None]
    held: bytes | None


@dataclass(frozen=True, slots=True)
class Vouched:
    """Say how many of the verified records one market signed; 0 where it signed nothing that is there.

    Attributes:
        kept: by its own copy.
        held: by what the coordinator holds of it.
    """

    kept: int = 0
    held: int = 0

    @property
    def records(self) -> int:
        """Return for how many records the market vouches."""
        return max(self.kept, self.held)


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Say how far the markets vouch for the ledger, and what does not fit."""

    vouched: Mapping[NodeId, Vouched]
    findings: tuple[Finding, ...]


def check_witnesses(evidence: Evidence, log: Log, story: Story, *, is_whole: bool) -> Witnesses:
    """Check what the markets signed, and that together they vouch for every record that matters.

    A market that was stopped before it was shown anything has an empty file, which is no reproach. One whose
    update is in a sum has signed the ledger before that sum: where its own copy is absent or says less, there
    is a gap that a forked ledger could hide in.

    Args:
        evidence: what they signed.
        log: the verified records.
        story: what these tell.
        is_whole: whether they are all records.
    """
    roster, findings = story.terms.roster, list[Finding]()
    held, misfits = _held(evidence.held, roster, log, is_whole=is_whole)
    findings += misfits
    vouched: dict[NodeId, Vouched] = {}
    for market, data in evidence.kept.items():
        kept, misfits = _kept(market, data, roster, log, is_whole=is_whole)
        findings += misfits
        vouched[market] = Vouched(kept, held.get(market, 0))
        needed = story.signed.get(market, 0)
        if needed and data is None:
            findings.append(missing("witness", f"The heads of the ledger that {market} kept are not there."))
        elif is_whole and kept < held.get(market, 0) and not misfits:
            message = f"{market} signed {held[market]} records, but its own copy ends after {kept}."
            findings.append(Finding(kept, "checkpoint", message))
        if held.get(market, 0) < needed and is_whole:
            message = (
                f"{market} took part after {needed} records, but the coordinator holds its signature of "
                f"{held.get(market, 0)}."
            )
            findings.append(missing("countersignature", message))
    most = max((each.records for each in vouched.values()), default=0)
    if is_whole and most < (needed := _needed(log, story)):
        message = f"No market signed all {needed} records, so their end could have been rewritten."
        findings.append(missing("witness", message))
    return Witnesses(vouched, tuple(findings))


def _kept(
    market: NodeId, data: bytes | None, roster: Roster, log: Log, *, is_whole: bool
) -> tuple[int, list[Finding]]:
    """Return up to where a market's own copy agrees with the ledger, and where it does not."""
    findings: list[Finding] = []
    agreed = 0
    try:
        heads = list(_lines(data or b""))
        if heads:
            verify_checkpoint(heads[-1].checkpoint, roster.coordinator)
            verify_countersignature(heads[-1].statement_of(market), roster.nodes[market])
        for kept in heads:
            misfits = list(_misfits(market, kept.checkpoint.head, log, agreed, is_whole=is_whole))
            if misfits:
                # Somebody else's statement would say nothing about the coordinator.
                verify_checkpoint(kept.checkpoint, roster.coordinator)
            elif kept.checkpoint.size <= log.size:
                agreed = kept.checkpoint.size
            findings += misfits[:1] if not findings else []
    except LedgerError as error:
        message = f"The heads of the ledger that {market} kept: {error.message}."
        return 0, [Finding(None, "checkpoint", message)]
    return agreed, findings


def _lines(data: bytes) -> Iterator[KeptHead]:
    *lines, rest = data.split(b"\n")
    if rest:
        raise LedgerError(0, "canonical", "the last line is not complete")
    size = 0
    for line in lines:
        kept = decode_kept(line)
        if kept.checkpoint.size <= size:
            message = f"a head of {kept.checkpoint.size} records after one of {size}"
            raise LedgerError(size, "checkpoint", message)
        size = kept.checkpoint.size
        yield kept


def _held(
    data: bytes | None, roster: Roster, log: Log, *, is_whole: bool
) -> tuple[dict[NodeId, int], list[Finding]]:
    """Return what the coordinator holds of each market that agrees with the ledger, and what does not."""
    sizes: dict[NodeId, int] = {}
    findings: list[Finding] = []
    *lines, rest = (data or b"").split(b"\n")
    if rest:
        message = "The last line of coordinator/countersignatures.jsonl is not complete."
        findings.append(Finding(None, "countersignature", message))
    for line in lines:
        try:
            statement = _verified(line, roster)
        except LedgerError as error:
            message = f"coordinator/countersignatures.jsonl: {error.message}."
            findings.append(Finding(error.record, "countersignature", message))
            continue
        misfits = list(_misfits(statement.market, statement.head, log, 0, is_whole=is_whole))
        findings += misfits
        if not misfits and statement.size <= log.size:
            sizes[statement.market] = max(sizes.get(statement.market, 0), statement.size)
    return sizes, findings


def _verified(line: bytes, roster: Roster) -> Countersignature:
    statement = decode_countersignature(line)
    identity = roster.nodes.get(statement.market)
    if identity is None:
        raise LedgerError(0, "countersignature", f"{statement.market} is no market of this run")
    verify_countersignature(statement, identity)
    return statement


def _misfits(market: NodeId, head: Head, log: Log, agreed: int, *, is_whole: bool) -> Iterator[Finding]:
    """Compare a head with the ledger; `agreed` is how many records the market is known to agree with."""
    if head.run != log.run:
        yield Finding(None, "checkpoint", f"{market} was shown the ledger of another run, {head.run}.")
    elif head.size <= log.size:
        if log.head_at(head.size) != head:
            message = (
                f"The ledger that {market} was shown had other records: the first that differs is one of "
                f"{agreed} to {head.size - 1}."
            )
            yield Finding(agreed, "fork", message)
    elif is_whole:
        message = f"{market} was shown {head.size} records, but the ledger has {log.size}."
        yield Finding(log.size, "truncated", message)


def _needed(log: Log, story: Story) -> int:
    """Return how many records must be vouched for: a completed run's all, else those up to the last sum."""
    return log.size if story.is_completed else max(story.releases, default=-1) + 1
