"""What a run came to, for people: figures per market, what happened, what was and was not promised."""

from collections.abc import Iterator, Mapping
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from fecosr.audit.report import AuditReport
from fecosr.harness.conclusion import Outcome
from fecosr.harness.summary import Metrics, Summary, macro_mean

SHOWN_METRICS = (("hr@10", "HR@10"), ("ndcg@10", "NDCG@10"))
SHOWN_METHODS = (("popularity", "pop"), ("local", "Local"), ("fecosr", "FeCoSR"))


def figures_table(summary: Summary) -> Table:
    """Return users, items and metrics of each market, and what FeCoSR gains over Local, in 80 columns."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("\nmarket", overflow="fold")
    for name in ("users", "items"):
        table.add_column(f"\n{name}", justify="right", no_wrap=True)
    for _, metric in SHOWN_METRICS:
        for number, (_, method) in enumerate((*SHOWN_METHODS, ("difference", "diff."))):
            # The metric stands once, over its first column: four times would not fit.
            table.add_column(f"{'' if number else metric}\n{method}", justify="right", no_wrap=True)
    for figures in summary.markets:
        is_last = figures is summary.markets[-1]
        counts = (str(figures.users), str(figures.items))
        table.add_row(figures.market, *counts, *_cells(figures.methods), end_section=is_last)
    mean = macro_mean([figures.methods for figures in summary.markets])
    table.add_row("macro mean", "", "", *_cells(mean), style="bold")
    return table


def closing_lines(outcome: Outcome) -> Iterator[str]:
    """Yield what happened in the run, what the audit says, and what was and was not promised to anybody."""
    summary = outcome.summary
    yield f"diff. is FeCoSR minus Local; {summary.rounds} rounds in {summary.seconds:.0f} s"
    for killed in summary.killed:
        survivors = summary.survivors.get(killed.round, ())
        back = "came back" if killed.restarted else "stayed away"
        yield (
            f"{killed.name} was killed in round {killed.round} at {killed.phase} and {back}; "
            f"round {killed.round} went on with {', '.join(survivors) or 'nobody'}"
        )
    yield _audit_line(outcome.audit)
    yield _privacy_line(outcome.audit)
    for semantics in sorted({figures.semantics for figures in summary.markets}):
        names = ", ".join(figures.market for figures in summary.markets if figures.semantics == semantics)
        yield f"semantics of {names}: {semantics}"


def _cells(methods: Mapping[str, Metrics]) -> Iterator[Text]:
    for metric, _ in SHOWN_METRICS:
        values = {method: methods.get(method, {}).get(metric) for method, _ in SHOWN_METHODS}
        yield from (_figure(value) for value in values.values())
        yield _difference(values["fecosr"], values["local"])


def _figure(value: float | None) -> Text:
    return Text("-" if value is None else _without_zero(f"{value:.4f}"))


def _difference(ours: float | None, theirs: float | None) -> Text:
    if ours is None or theirs is None:
        return Text("-")
    difference = ours - theirs
    return Text(_without_zero(f"{difference:+.4f}"), style="green" if difference >= 0 else "red")


def _without_zero(number: str) -> str:
    return number.replace("0.", ".", 1) if number.lstrip("+-").startswith("0.") else number


def _audit_line(audit: AuditReport) -> str:
    if audit.verified and audit.facts is not None:
        return f"audit: verified, {audit.facts.num_records} records, every signature and every model file"
    return f"audit: {audit.status.replace('_', ' ')}; fecosr audit says why"


def _privacy_line(audit: AuditReport) -> str:
    if audit.facts is None:
        return "privacy: nothing is known, for want of a ledger"
    terms = audit.facts.opened.privacy
    if terms.epsilon is None:
        return _NO_PRIVACY
    spent = max((cost.epsilon for cost in audit.facts.costs.values()), default=0.0)
    return (
        f"privacy: mode {terms.mode}, any one customer of any market has epsilon {spent:.2f} of at most "
        f"{terms.epsilon:g} at delta {terms.delta:g}, recomputed from the ledger"
    )


_NO_PRIVACY: Final = (
    "privacy: no differential privacy in this run. Only sums of the markets' updates were opened, "
    "but nothing bounds what a sum says about one customer: epsilon is unbounded"
)
