"""Pictures of a comparison. matplotlib is an extra: it is imported here and nowhere else."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from fecosr.errors import ConfigError
from fecosr.harness.compare.outputs import Comparison
from fecosr.harness.compare.registry import methods_named
from fecosr.harness.compare.summary import HEADLINE, MethodSummary, VariantSummary
from fecosr.harness.compare.variants import Variant
from fecosr.storage.atomic_files import make_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OUR_NAME: Final = "fecosr"
_OURS: Final = "#1b6ca8"
_OTHERS: Final = "#8a8f98"
_BREAKING: Final = "#c9a227"
_ABOVE: Final = "#2a7f3f"
_BELOW: Final = "#b3261e"
_PANELS_IN_ROW: Final = 4
_DOTS_PER_INCH: Final = 150


def require_matplotlib() -> None:
    """Refuse to go on without matplotlib.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import matplotlib  # noqa: ICN001, PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "plots need matplotlib", remedy="pip install 'fecosr[plots]', or give --no-plots"
        ) from None
    matplotlib.use("agg")


def write_plots(comparison: Comparison, folder: Path) -> dict[str, Path]:
    """Write every picture as PNG and SVG and return the PNGs by title."""
    make_folder(folder)
    written = {}
    for name, title, figure in _figures(comparison):
        for suffix in ("svg", "png"):
            figure.savefig(folder / f"{name}.{suffix}", dpi=_DOTS_PER_INCH, bbox_inches="tight")
        written[title] = folder / f"{name}.png"
    return written


def _figures(comparison: Comparison) -> Iterator[tuple[str, str, "Figure"]]:
    for summary in comparison.summaries:
        if summary.filter != "on":
            continue
        variant = summary.variant
        yield f"macro-{variant}", f"Macro NDCG@10, {variant} data", macro_figure(summary, comparison)
        if summary.local:
            title = f"Difference to Local in each market, {variant} data"
            yield f"markets-{variant}", title, markets_figure(summary, comparison)
        if comparison.federated():
            title = f"Heterogeneity by round, {variant} data"
            yield f"heterogeneity-{variant}", title, heterogeneity_figure(variant, comparison)


def macro_figure(summary: VariantSummary, comparison: Comparison) -> "Figure":
    """Return the macro mean of every method, with a dot for each seed."""
    methods = summary.methods[::-1]
    figure, axes = _subplots(1, 1, (7.5, 0.9 + 0.32 * len(methods)))
    labels, colours = _looks(comparison)
    places = np.arange(len(methods))
    axes[0].barh(
        places, [m.macro[HEADLINE] for m in methods], color=[colours[m.method] for m in methods], height=0.7
    )
    for place, method in zip(places, methods, strict=True):
        axes[0].plot(method.macro_by_seed, [place] * len(method.macro_by_seed), "k.", markersize=4)
        axes[0].annotate(
            f" {method.macro[HEADLINE]:.3f}", (max(method.macro_by_seed), place), va="center", fontsize=8
        )
    axes[0].set_yticks(places, [labels[m.method] for m in methods])
    axes[0].set_xlabel("macro NDCG@10, full ranking; dots are seeds")
    axes[0].margins(x=0.12)
    return figure


def markets_figure(summary: VariantSummary, comparison: Comparison) -> "Figure":
    """Return one panel per market: every method's difference to Local with its interval."""
    methods = [m for m in summary.methods[::-1] if m.method != "popularity"]
    rows = -(-len(summary.users) // _PANELS_IN_ROW)
    columns = -(-len(summary.users) // rows)
    size = (2.9 * columns + 1.6, (0.9 + 0.24 * len(methods)) * rows)
    figure, axes = _subplots(rows, columns, size)
    labels, _ = _looks(comparison)
    for place, (panel, market) in enumerate(zip(axes, summary.users, strict=False)):
        _market_panel(panel, market, methods)
        tiny = ", tiny" if market in summary.tiny else ""
        panel.set_title(f"{market} ({summary.users[market]} users{tiny})", fontsize=9)
        panel.set_yticks(np.arange(len(methods)), [labels[m.method] for m in methods], fontsize=7)
        panel.tick_params(axis="x", labelsize=7)
        panel.locator_params(axis="x", nbins=5)
        # Every market has its own scale; the methods are named once per row.
        panel.tick_params(axis="y", labelleft=place % columns == 0)
    for panel in axes[len(summary.users) :]:
        panel.set_visible(False)
    figure.supxlabel("NDCG@10 minus Local's, 95 % interval over users", fontsize=9)
    return figure


def heterogeneity_figure(variant: Variant, comparison: Comparison) -> "Figure":
    """Return cosine and dissimilarity of the markets' updates by round, averaged over seeds."""
    figure, axes = _subplots(1, 2, (9.5, 3.4))
    for method in comparison.federated():
        runs = list(comparison.rounds_of(method.name, variant).values())
        numbers = [measured.round for measured in runs[0]]
        for panel, name in zip(axes, ("cosine", "dissimilarity"), strict=True):
            values = np.mean([[getattr(measured, name) for measured in run] for run in runs], axis=0)
            panel.plot(
                numbers, values, label=method.label, linewidth=2.4 if method.name == _OUR_NAME else 1.2
            )
    axes[0].set_ylabel("mean pairwise cosine of updates")
    axes[1].set_ylabel("gradient dissimilarity of updates")
    for panel in axes:
        panel.set_xlabel("round")
        panel.grid(alpha=0.25)
    axes[1].legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _market_panel(panel: "Axes", market: str, methods: list[MethodSummary]) -> None:
    panel.axvline(0.0, color="black", linewidth=0.8)
    for place, method in enumerate(methods):
        found = method.differences[market][HEADLINE]
        colour = _ABOVE if found.is_above else _BELOW if found.is_below else _OTHERS
        panel.plot([found.low, found.high], [place, place], color=colour, linewidth=1.6)
        panel.plot([found.mean], [place], "o", color=colour, markersize=3.5)
    panel.grid(axis="x", alpha=0.25)


def _subplots(rows: int, columns: int, size: tuple[float, float]) -> "tuple[Figure, list[Axes]]":
    # Without pyplot there is no global state, and figures are freed when they are written.
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, list(axes.flat)


def _looks(comparison: Comparison) -> tuple[Mapping[str, str], Mapping[str, str]]:
    methods = methods_named(comparison.request.methods)
    colours = {
        m.name: _BREAKING if m.breaks_isolation else _OURS if m.name == _OUR_NAME else _OTHERS
        for m in methods
    }
    return {m.name: m.label for m in methods}, colours
