"""Say what an audit came to: as JSON for programs, in sentences for people."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from fecosr.audit.convictions import ProvedConviction
from fecosr.audit.costs import Cost
from fecosr.audit.facts import RunFacts
from fecosr.audit.findings import Finding, Status, status_of
from fecosr.audit.statements import blind_spots, not_protected, protected
from fecosr.audit.witnesses import Vouched
from fecosr.ids import NodeId
from fecosr.secagg.evidence import Fault


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Hold the findings of an audit and, as far as the ledger can be read, the facts of the run.

    Attributes:
        findings: everything that keeps the run from being verified, in the order it was found.
        facts: None when not even the first record verifies.
    """

    findings: tuple[Finding, ...]
    facts: RunFacts | None = None

    @property
    def status(self) -> Status:
        """Return the verdict; it carries the exit code."""
        return status_of(self.findings)

    @property
    def verified(self) -> bool:
        """Say whether there is no finding at all."""
        return self.status is Status.VERIFIED

    def as_json(self) -> dict[str, object]:
        """Return what `fecosr audit --json` prints; an epsilon of null is unbounded."""
        return {
            "verified": self.verified,
            "findings": [
                {"record": finding.record, "rule": finding.rule, "message": finding.message}
                for finding in self.findings
            ],
            "privacy": privacy_figures(self.facts) if self.facts else [],
            "rounds": self.facts.rounds if self.facts else 0,
            "convictions": [asdict(proved) for proved in self.facts.convictions] if self.facts else [],
        }


def render(report: AuditReport) -> str:
    """Return the whole report as Markdown that reads well as plain text too."""
    return "\n".join(_lines(report))


def _lines(report: AuditReport) -> Iterator[str]:
    facts = report.facts
    yield f"# Audit of run {facts.opened.run}" if facts else "# Audit"
    yield from ("", _VERDICTS[report.status], *([""] if report.findings else []))
    for finding in report.findings:
        place = "folder" if finding.record is None else f"record {finding.record}"
        yield f"- {place}, {finding.rule}: {finding.message}"
    if facts is None:
        return
    yield from ("", "## What happened", "", *_happened(facts))
    yield from (
        "",
        "## Who is protected, and against whom",
        "",
        *(f"- {line}" for line in _established(report)),
    )
    yield from ("", "## What is not protected", "", *(f"- {line}" for line in not_protected(facts)))
    yield from ("", "## What this audit cannot see", "", *(f"- {line}" for line in blind_spots(facts)), "")


def _established(report: AuditReport) -> Iterator[str]:
    if report.facts is not None and report.verified:
        yield from protected(report.facts)
    else:
        yield "Nothing is established about this run, because it is not verified."


def _happened(facts: RunFacts) -> Iterator[str]:
    yield f"The ledger has {facts.num_records} verified records, written by FeCoSR {facts.opened.version}."
    yield (
        "They end with the completion of the run." if facts.is_completed else "They do not complete the run."
    )
    yield f"Rounds released: {facts.rounds} of {facts.plan.rounds}. Attempts aborted: {facts.aborted}."
    yield f"Next models made again from the opened sums, bit by bit: {facts.redone} of {facts.rounds}."
    if facts.sketch.survivors:
        redone = "made again from it" if facts.sketch.redone else "not made again, because it is not there"
        yield f"Behaviour sketches of {facts.sketch.survivors} markets opened as one sum: {redone}."
    yield ""
    yield "| market | sums with its update | records it signed | own copy | coordinator's copy | epsilon |"
    yield "|---|---|---|---|---|---|"
    for market in facts.opened.roster:
        epsilon = _epsilon(facts, market)
        shown = "unbounded" if epsilon is None else f"{epsilon:.4f}"
        signed, sums = facts.signed.get(market, Vouched()), facts.sums.get(market, 0)
        yield f"| {market} | {sums} | {signed.records} | {signed.kept} | {signed.held} | {shown} |"
    if facts.convictions:
        yield from ("", *(f"- {_convicted(proved)}" for proved in facts.convictions))


def _convicted(proved: ProvedConviction) -> str:
    return (
        f"**{proved.market} {_FAULTS[proved.fault]}** in round {proved.round} attempt {proved.attempt}; "
        f"evidence/{proved.evidence} proves it to everybody who knows the roster (record {proved.record})."
    )


_FAULTS = {
    Fault.CHANGED_SHARE: "revealed another share than it had accepted",
    Fault.MISDEALT_SHARES: "dealt shares that do not fit together",
    Fault.UNUSABLE_SHARES: "dealt unusable shares, as more markets signed than are assumed to lie,",
}


def _epsilon(facts: RunFacts, market: NodeId) -> float | None:
    """Return what a market's users were charged; None when nothing bounds it."""
    cost = facts.costs.get(market)
    return cost.epsilon if cost is not None and math.isfinite(cost.epsilon) else None


def privacy_figures(facts: RunFacts) -> list[dict[str, object]]:
    """Return for every market what the ledger says its users were charged."""
    terms = facts.opened.privacy
    return [
        {
            "market": market,
            "privacy_unit": terms.privacy_unit,
            "neighboring_relation": terms.neighboring_relation,
            "mode": terms.mode,
            "epsilon": _epsilon(facts, market),
            "delta": terms.delta,
            "accountants": _accountants(facts.costs.get(market)),
            "budget": terms.epsilon,
        }
        for market in facts.opened.roster
    ]


def _accountants(cost: Cost | None) -> dict[str, float]:
    return {name: value for name, value in cost.accountants.items() if math.isfinite(value)} if cost else {}


_VERDICTS = {
    Status.VERIFIED: "**Verified.** Every record, signature and model file checked; nothing is missing.",
    Status.NOT_VERIFIED: "**Not verified.** Something in this folder is not what it should be:",
    Status.UNUSABLE: "**Cannot be verified.** Nothing wrong was found, but something needed is missing:",
}
