"""Say what an audit came to: as JSON for programs, in sentences for people."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

from fecosr.audit.convictions import ProvedConviction
from fecosr.audit.costs import Cost
from fecosr.audit.findings import Finding, Status, status_of
from fecosr.audit.plan_terms import PlanTerms
from fecosr.audit.sketch import SketchCheck
from fecosr.ids import NodeId
from fecosr.ledger.records import RunOpened
from fecosr.secagg.evidence import Fault


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Hold what the verified records say about a run.

    Attributes:
        opened: the record that opened it.
        plan: the values of its plan that matter here.
        num_records: records that verify.
        rounds: rounds released.
        redone: rounds whose next model was made again from the opened sum.
        aborted: attempts aborted.
        is_completed: whether its last record says so.
        sums: for every market, in how many sums that were opened its update is.
        vouched: for every market, of how many records it kept a checkpoint.
        costs: for every market what its users were charged; empty in mode "none".
        convictions: who was convicted of wrong shares, by evidence that verified.
        sketch: what became of the sum of behaviour sketches, if one was released.
    """

    opened: RunOpened
    plan: PlanTerms
    num_records: int
    rounds: int
    redone: int
    aborted: int
    is_completed: bool
    sums: Mapping[NodeId, int]
    vouched: Mapping[NodeId, int]
    costs: Mapping[NodeId, Cost] = field(default_factory=dict)
    convictions: tuple[ProvedConviction, ...] = ()
    sketch: SketchCheck = field(default_factory=SketchCheck)


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


def privacy_report(report: AuditReport) -> dict[str, object]:
    """Return the content of `privacy_report.json`: what is promised to each market's customers.

    An epsilon of null means that no finite epsilon holds. `protected` is empty unless the run is verified.
    """
    facts = report.facts
    if facts is None:
        return {"verified": False, "privacy": [], "protected": [], "not_protected": []}
    return {
        "run": facts.opened.run,
        "verified": report.verified,
        "rounds": facts.rounds,
        "privacy": privacy_figures(facts),
        "sums_opened": dict(facts.sums),
        "protected": list(_protected(facts)) if report.verified else [],
        "not_protected": list(_not_protected(facts)),
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
    yield from ("", "## What is not protected", "", *(f"- {line}" for line in _not_protected(facts)))
    yield from ("", "## What this audit cannot see", "", *(f"- {line}" for line in _blind_spots(facts)), "")


def _established(report: AuditReport) -> Iterator[str]:
    if report.facts is not None and report.verified:
        yield from _protected(report.facts)
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
    yield "| market | sums with its update | records it vouches for | epsilon |"
    yield "|---|---|---|---|"
    for market in facts.opened.roster:
        epsilon = _epsilon(facts, market)
        shown = "unbounded" if epsilon is None else f"{epsilon:.4f}"
        yield f"| {market} | {facts.sums.get(market, 0)} | {facts.vouched.get(market, 0)} | {shown} |"
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


def _protected(facts: RunFacts) -> Iterator[str]:
    n_min, colluding = facts.plan.n_min, facts.plan.max_colluding
    yield (
        "A market's single update, its loss and its number of users are hidden from the coordinator and from "
        f"the other markets: each round only the sum over at least {n_min} markets was opened."
    )
    if colluding:
        yield (
            f"This holds even if the coordinator colludes with {colluding} of the markets: subtracting their "
            f"own updates leaves them the sum over the others, at least {n_min - colluding} markets."
        )
    else:
        yield (
            "This holds against the coordinator alone and against any market alone; it was not planned to "
            "hold if some of them collude."
        )
    yield "Interactions, item tables and fine-tuned models are no part of the protocol: no market sends them."
    terms = facts.opened.privacy
    if terms.epsilon is None or not facts.costs:
        return
    spent = max(cost.epsilon for cost in facts.costs.values())
    yield (
        f"Any one customer of any market is protected with epsilon {spent:.4f} (budget {terms.epsilon:g}) "
        f"at delta {terms.delta:g}: whether they and all they ever did in that market were there is hidden "
        "from whoever holds the final model, from the coordinator with all its sums and models, and from it "
        f"together with any {colluding} markets other than the customer's own."
    )


def _not_protected(facts: RunFacts) -> Iterator[str]:
    if facts.opened.privacy.epsilon is not None:
        yield from _not_protected_by_noise(facts)
    else:
        yield from _not_protected_at_all(facts)
    yield "Who took part in which round is known to the coordinator and stands in the ledger."


def _not_protected_by_noise(facts: RunFacts) -> Iterator[str]:
    yield (
        "A customer of two markets counts as two: together they are protected with the sum of both epsilons."
    )
    yield (
        f"More than {facts.plan.max_colluding} markets in league with the coordinator know more of the noise "
        "than the guarantee allows for."
    )
    bare = max((cost.without_amplification for cost in facts.costs.values()), default=0.0)
    yield (
        "The guarantee rests on nobody knowing which customers were sampled for a round; for whoever knew, "
        f"epsilon would be {bare:.4f}."
    )
    yield (
        "A market's own fine-tuned model, its item table and its metrics are made without noise; they are "
        "meant to stay in the market, and the guarantee does not cover them where they leave it."
    )
    yield "That the markets clipped, sampled and added noise as agreed: nobody outside a market can see that."


def _not_protected_at_all(facts: RunFacts) -> Iterator[str]:
    yield (
        "There is no differential privacy in this run: the exact sum is released each round, so epsilon is "
        "unbounded for every customer of every market."
    )
    yield (
        "Against an outsider who holds the final model nothing is promised: whether a given customer's "
        "history was used can in principle be inferred from it."
    )
    yield (
        "Against the coordinator nothing is promised beyond the sum: what the exact sums and the models "
        "after each round say about one customer is not bounded."
    )
    yield (
        f"The clip norm of {facts.plan.clip_norm:g} bounds the update of a market, not that of a customer, "
        "and is no privacy guarantee."
    )
    if facts.sketch.survivors:
        yield (
            "The sum of the markets' behaviour sketches was opened to the coordinator and to every market: "
            "whoever has it can estimate, for any two item ids they name, how many customers have both, over "
            "all markets together and without noise. An item that one market alone sells, or one customer "
            "alone has, gives away that market's figures, or that customer's other items."
        )
    if facts.plan.releases_validation:
        yield (
            "The plan releases the weighted mean of the markets' validation NDCG@10 in every round, to the "
            "coordinator and to every market; that of a single market is hidden as its update is."
        )


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


def _blind_spots(facts: RunFacts) -> Iterator[str]:
    yield "What a market trained on, and whether it clipped its update as agreed: only sums are ever seen."
    yield (
        "Whether a recorded sum is what the masked vectors added up to: the vectors themselves are not kept, "
        "and nobody but the coordinator saw them."
    )
    if facts.redone < facts.rounds:
        yield (
            f"Whether the models of {facts.rounds - facts.redone} rounds were made from their sums: sums, "
            "models or optimiser states of these rounds are not in the folder."
        )
    yield (
        "Misconduct of a market that the coordinator kept to itself, and whether a market that was not asked "
        "for a round was really away."
    )
    yield "Anything about a market whose checkpoints are absent, beyond what the other markets vouch for."
