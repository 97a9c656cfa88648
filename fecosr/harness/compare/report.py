"""The report: one HTML file that needs nothing beside it, for people who were not there."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from fecosr.harness.compare.contraction import ContractionSummary
from fecosr.harness.compare.display import duration
from fecosr.harness.compare.outputs import Comparison
from fecosr.harness.compare.registry import methods_named
from fecosr.harness.compare.statistics import METRICS, Difference
from fecosr.harness.compare.summary import HEADLINE, VariantSummary
from fecosr.harness.compare.terminal import best_figures, findings, legend, short, signed, title_of

_METRIC_NAMES: Final[Mapping[str, str]] = {"hr@10": "HR@10", "ndcg@10": "NDCG@10", "mrr": "MRR"}
_KEY_DIGITS: Final = 16


def html_report(comparison: Comparison, plots: Mapping[str, Path]) -> str:
    """Return the report as one HTML document, the plots by title inside it."""
    environment = Environment(
        loader=PackageLoader("fecosr.harness.compare", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    settings = comparison.request.settings.model_dump(mode="json")
    return environment.get_template("report.html.jinja").render(
        what=_what(comparison),
        legend=tuple(legend(comparison)),
        variants=[_variant(summary, comparison) for summary in comparison.summaries],
        pictures=[_picture(title, path) for title, path in plots.items()],
        heterogeneity=tuple(_heterogeneity(comparison)),
        contraction=[_contraction(*item) for item in comparison.contractions.items()],
        methods=methods_named(comparison.request.methods),
        command=comparison.command,
        versions=", ".join(f"{name} {version}" for name, version in comparison.request.versions.items()),
        settings_hash=comparison.settings_hash()[:_KEY_DIGITS],
        settings=json.dumps(settings, indent=1),
    )


def _what(comparison: Comparison) -> str:
    request = comparison.request
    data = "the generated markets" if request.data is None else str(request.data)
    seeds = f"seeds {', '.join(map(str, request.seeds))}"
    computing = f"{duration(comparison.seconds)} of computing"
    where = "" if request.device == "cpu" else f" on {request.device}"
    return (
        f"{len(request.methods)} methods on {data}, {seeds}, {request.settings.rounds} rounds; "
        f"{computing}{where}."
    )


def _variant(summary: VariantSummary, comparison: Comparison) -> dict[str, Any]:
    return {
        "title": title_of(summary),
        "headline": _table(summary, comparison, HEADLINE),
        "others": [_table(summary, comparison, metric) for metric in METRICS if metric != HEADLINE],
        "findings": tuple(findings(summary, comparison)),
    }


def _table(summary: VariantSummary, comparison: Comparison, metric: str) -> dict[str, Any]:
    methods = {method.name: method for method in methods_named(comparison.request.methods)}
    isolated = {name for name, method in methods.items() if not method.breaks_isolation}
    best = best_figures(summary, isolated, metric)
    rows = []
    for found in summary.methods:
        figures = [_figure(found.macro[metric], found.macro_difference.get(metric), best["macro"])]
        for market, values in found.markets.items():
            difference = found.differences.get(market, {}).get(metric)
            figures.append(_figure(values[metric], difference, best[market]))
        method = methods[found.method]
        label = f"{method.label} !" if method.breaks_isolation else method.label
        rows.append({"label": label, "breaks_isolation": method.breaks_isolation, "figures": figures})
    items = comparison.items[summary.variant]
    markets = [
        {"name": f"{name}{'*' if name in summary.tiny else ''}", "users": users, "items": items[name]}
        for name, users in summary.users.items()
    ]
    return {"metric": _METRIC_NAMES[metric], "markets": markets, "rows": rows}


def _figure(value: float, difference: Difference | None, best: float) -> dict[str, str]:
    styles = ["best"] if value == best else []
    if difference is None:
        return {"value": short(value), "style": " ".join(styles), "difference": "", "interval": ""}
    if difference.is_above or difference.is_below:
        styles.append("above" if difference.is_above else "below")
    return {
        "value": short(value),
        "style": " ".join(styles),
        "difference": signed(difference.mean),
        "interval": f"[{signed(difference.low)}, {signed(difference.high)}]",
    }


def _heterogeneity(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """Yield first, last and mean cosine and dissimilarity of every method with rounds, mean over seeds."""
    for variant in comparison.request.variants:
        for method in comparison.federated():
            runs = comparison.rounds_of(method.name, variant).values()
            values = []
            for name in ("cosine", "dissimilarity"):
                by_round = np.mean([[getattr(measured, name) for measured in run] for run in runs], axis=0)
                values += [f"{value:.3f}" for value in (by_round[0], by_round[-1], by_round.mean())]
            yield {"label": f"{method.label}, {variant}", "cells": values}


def _contraction(variant: str, found: ContractionSummary) -> dict[str, Any]:
    return {
        "variant": variant,
        "bound": "Dobrushin coefficient" if found.is_exact else "bound on the Dobrushin coefficient",
        "dobrushin": f"{found.dobrushin:.3f}",
        "pairs": [
            {
                "markets": " and ".join(pair.markets),
                "shared_items": pair.shared_items,
                "over_shared": "-" if pair.over_shared is None else f"{pair.over_shared:.3f}",
                "over_union": "-" if pair.over_union is None else f"{pair.over_union:.3f}",
            }
            for pair in found.pairs
        ],
    }


def _picture(title: str, path: Path) -> dict[str, str]:
    return {"title": title, "base64": base64.b64encode(path.read_bytes()).decode()}
