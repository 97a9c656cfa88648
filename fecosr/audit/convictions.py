"""Verify the evidence behind every conviction from the roster, the adverts in the ledger and its own file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fecosr.audit.attempt import Terms, cohort_of
from fecosr.audit.findings import Finding, Weight
from fecosr.errors import CryptoError, MisuseError
from fecosr.federation.evidence import evidence_from, evidence_hash
from fecosr.ids import NodeId
from fecosr.ledger.log import Entry
from fecosr.ledger.records import CohortFixed, NodeConvicted, RoundOpened
from fecosr.secagg.cohort import Cohort
from fecosr.secagg.evidence import Fault, verify_conviction
from fecosr.storage.evidence import evidence_path


@dataclass(frozen=True, slots=True)
class ProvedConviction:
    """Say of what a market is convicted, by evidence that verified.

    Attributes:
        record: position of the ledger record.
        market: who.
        fault: of what.
        round: when.
        attempt: when.
        evidence: name of the file that proves it.
    """

    record: int
    market: NodeId
    fault: Fault
    round: int
    attempt: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Convictions:
    """Hold the convictions that are proved, and what is wrong with the others."""

    proved: tuple[ProvedConviction, ...]
    findings: tuple[Finding, ...]


def check_convictions(folder: Path, entries: Sequence[Entry], terms: Terms) -> Convictions:
    """Return which convictions of a run are proved by the evidence in `folder`.

    A conviction without proof is a finding: whoever is left out of rounds by name must see why.

    Args:
        folder: where the evidence is.
        entries: the verified records.
        terms: the pinned identities and what was agreed.
    """
    proved, findings = [], []
    for entry in entries:
        if not isinstance(entry.body, NodeConvicted):
            continue
        body = entry.body
        wrong = list(_check(folder, entry.seq, body, _cohort(entries, body), terms.roster.nodes))
        findings += wrong
        if not wrong:
            name = evidence_path(folder, body.evidence).name
            proved.append(
                ProvedConviction(entry.seq, body.market, Fault(body.fault), body.round, body.attempt, name)
            )
    return Convictions(tuple(proved), tuple(findings))


def _check(
    folder: Path, record: int, body: NodeConvicted, cohort: Cohort | None, roster: Mapping[NodeId, bytes]
) -> Iterator[Finding]:
    path = evidence_path(folder, body.evidence)
    who = f"The conviction of {body.market} in round {body.round} attempt {body.attempt}"
    try:
        content = path.read_bytes()
    except OSError:
        yield Finding(record, "evidence", f"{who} has no evidence: {path.name} is not there.", Weight.MISSING)
        return
    if evidence_hash(content) != body.evidence:
        yield Finding(record, "evidence", f"{path.name} holds something else than its name says.")
        return
    try:
        session, conviction = evidence_from(content)
    except MisuseError:
        yield Finding(record, "evidence", f"{who}: {path.name} is no evidence.")
        return
    if (session, conviction.culprit, conviction.fault.value) != (body.session, body.market, body.fault):
        yield Finding(record, "evidence", f"{who}: {path.name} is about something else.")
    elif cohort is None or cohort.session != session or not cohort.adverts.keys() <= roster.keys():
        yield Finding(record, "evidence", f"{who} is about a session that the records do not tell of.")
    else:
        try:
            verify_conviction(cohort, roster, conviction)
        except CryptoError as error:
            yield Finding(record, "evidence", f"{who} is not proved: {error}.")


def _cohort(entries: Sequence[Entry], convicted: NodeConvicted) -> Cohort | None:
    """Return the cohort of the attempt that a conviction is about, recomputed from manifest and adverts."""
    numbers = (convicted.round, convicted.attempt)
    bodies = [entry.body for entry in entries]
    opened = [it for it in bodies if isinstance(it, RoundOpened) and (it.round, it.attempt) == numbers]
    fixed = [it for it in bodies if isinstance(it, CohortFixed) and (it.round, it.attempt) == numbers]
    return cohort_of(opened[0], fixed[0]) if opened and fixed else None
