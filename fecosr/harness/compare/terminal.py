"""What a comparison found, for a terminal: one table per variant and filter, and what follows from it."""

from collections.abc import Iterator, Mapping
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from fecosr.harness.compare.outputs import Comparison
from fecosr.harness.compare.registry import LOCAL, methods_named
from fecosr.harness.compare.statistics import Difference
from fecosr.harness.compare.summary import HEADLINE, MethodSummary, VariantSummary

ABOVE, BELOW, NEITHER = "+", "-", " "
"""Stand behind a figure that is significantly above or below Local's."""

_LABEL_WIDTH: Final = 16
_FIGURE_WIDTH: Final = 5


def headline_table(summary: VariantSummary, comparison: Comparison) -> Table:
    """Return the headline metric of every method in every market."""
    methods = {method.name: method for method in methods_named(comparison.request.methods)}
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.title, table.title_justify = f"NDCG@10, {title_of(summary)}", "left"
    table.add_column("method", vertical="bottom", min_width=_LABEL_WIDTH)
    for name in ("macro", *summary.users):
        # Names give way before figures do: a long one breaks at its hyphens.
        heading = name.replace("-", "-\n") + ("*" if name in summary.tiny else "")
        table.add_column(
            heading, justify="right", vertical="bottom", overflow="fold", min_width=_FIGURE_WIDTH
        )
    isolated = {name for name, method in methods.items() if not method.breaks_isolation}
    best = best_figures(summary, isolated, HEADLINE)
    for found in summary.methods:
        method = methods[found.method]
        label = Text(f"{method.label}{' !' if method.breaks_isolation else ''}")
        macro = figure(found.macro[HEADLINE], found.macro_difference.get(HEADLINE), best["macro"])
        cells = (
            figure(figures[HEADLINE], found.differences.get(market, {}).get(HEADLINE), best[market])
            for market, figures in found.markets.items()
        )
        table.add_row(label, macro, *cells, style="dim" if method.breaks_isolation else "")
    return table


def title_of(summary: VariantSummary) -> str:
    """Return what a summary is about."""
    return f"{summary.variant} data, history {'not ranked' if summary.filter == 'on' else 'ranked too'}"


def best_figures(summary: VariantSummary, methods: set[str], metric: str) -> dict[str, float]:
    """Return the best figure of every market, and of the macro mean, among some methods."""
    chosen = [found for found in summary.methods if found.method in methods]
    best = {"macro": max((found.macro[metric] for found in chosen), default=0.0)}
    for market in summary.users:
        best[market] = max((found.markets[market][metric] for found in chosen), default=0.0)
    return best


def figure(value: float, difference: Difference | None, best: float) -> Text:
    """Return a figure with its mark, bold where it is the best."""
    mark, style = NEITHER, ""
    if difference is not None and difference.is_above:
        mark, style = ABOVE, "green"
    if difference is not None and difference.is_below:
        mark, style = BELOW, "red"
    return Text(f"{short(value)}{mark}", style=f"{style} bold" if value == best else style)


def findings(summary: VariantSummary, comparison: Comparison) -> Iterator[str]:
    """Yield in sentences what every method gains over Local, and who lost by taking part."""
    for method in methods_named(comparison.request.methods):
        found = summary.of(method.name)
        if HEADLINE in found.macro_difference and method.name not in LOCAL:
            losses = _losses(found, summary, by_taking_part=method.uses_other_markets)
            yield f"{method.label}: {_gain(found)}; {losses}"


def legend(comparison: Comparison) -> Iterator[str]:
    """Yield what the marks of the tables mean."""
    if any(summary.local for summary in comparison.summaries):
        yield f"{ABOVE} or {BELOW} behind a figure: the 95 % interval of its difference to Local excludes 0"
    tiny = {market for summary in comparison.summaries for market in summary.tiny}
    if tiny:
        yield f"* fewer than 500 evaluated users in some variant: {', '.join(sorted(tiny))}"
    breaking = [m.label for m in methods_named(comparison.request.methods) if m.breaks_isolation]
    if breaking:
        yield f"! breaks isolation, for comparison only: {', '.join(breaking)}"
    yield from local_lines(comparison)


def local_lines(comparison: Comparison) -> Iterator[str]:
    """Yield which Local every market is compared with."""
    labels = {method.name: method.label for method in methods_named(comparison.request.methods)}
    for summary in comparison.summaries:
        if summary.filter == "on" and summary.local:
            chosen: Mapping[str, list[str]] = {
                name: [market for market, local in summary.local.items() if local == name]
                for name in sorted(set(summary.local.values()))
            }
            parts = [f"{labels[name]} in {', '.join(markets)}" for name, markets in chosen.items()]
            yield f"Local, {summary.variant} data (the better on validation users): {'; '.join(parts)}"


def short(value: float) -> str:
    """Return a share with three digits and no leading zero."""
    return f"{value:.3f}".removeprefix("0") if value >= 0 else f"-{short(-value)}"


def signed(value: float) -> str:
    """Return a difference with four digits, its sign and no leading zero."""
    return f"{'+' if value >= 0 else '-'}{f'{abs(value):.4f}'.removeprefix('0')}"


def _gain(found: MethodSummary) -> str:
    macro = found.macro_difference[HEADLINE]
    return f"{signed(macro.mean)} [{signed(macro.low)}, {signed(macro.high)}] macro over Local"


def _losses(found: MethodSummary, summary: VariantSummary, *, by_taking_part: bool) -> str:
    losers = found.losers()
    if not losers:
        return "no market significantly below Local"
    if not by_taking_part:
        return f"significantly below Local in {', '.join(losers)}"
    source = f" (source degradation in {summary.largest})" if summary.largest in losers else ""
    return f"negative transfer in {', '.join(losers)}{source}"
