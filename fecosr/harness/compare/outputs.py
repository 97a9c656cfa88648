"""The figures as files: `results.json` for programs, `ranks.parquet` for whoever repeats the statistics."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from fecosr.harness.compare.cells import FILTERED, UNFILTERED, VALIDATION, Cell, CellResult
from fecosr.harness.compare.contraction import ContractionSummary
from fecosr.harness.compare.heterogeneity import RoundMeasures
from fecosr.harness.compare.jobs import Request
from fecosr.harness.compare.method import Method
from fecosr.harness.compare.provenance import digest_of
from fecosr.harness.compare.registry import methods_named
from fecosr.harness.compare.statistics import CONFIDENCE, METRICS, Difference, gains
from fecosr.harness.compare.summary import (
    FILTERS,
    HEADLINE,
    NUM_RESAMPLES,
    MethodSummary,
    Results,
    VariantSummary,
)
from fecosr.harness.compare.variants import Variant


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Hold everything a comparison found.

    Attributes:
        request: what was asked.
        command: that asked it.
        results: every cell, in the order of the report.
        summaries: one per variant and filter.
        contractions: per variant, what the soft targets do to the differences between markets.
        items: per variant and market, the size of the catalogue.
    """

    request: Request
    command: str
    results: Results
    summaries: tuple[VariantSummary, ...]
    contractions: Mapping[Variant, ContractionSummary]
    items: Mapping[Variant, Mapping[str, int]]

    @property
    def seconds(self) -> float:
        """Return the seconds that all cells took, added up over processes and starts."""
        return sum(result.seconds for result in self.results.values())

    def federated(self) -> tuple[Method, ...]:
        """Return the methods with rounds; of several that share their rounds the first."""
        by_stage: dict[str, Method] = {}
        for method in methods_named(self.request.methods):
            if any(self.rounds_of(method.name, variant) for variant in self.request.variants):
                by_stage.setdefault(method.stage, method)
        return tuple(by_stage.values())

    def rounds_of(self, method: str, variant: Variant) -> dict[int, tuple[RoundMeasures, ...]]:
        """Return what was measured in the rounds of a method, by seed; nothing if it has no rounds."""
        return {
            cell.seed: result.rounds
            for cell, result in self.results.items()
            if (cell.method, cell.variant) == (method, variant) and result.rounds
        }

    def settings_hash(self) -> str:
        """Return the hash of the settings."""
        return digest_of(self.request.settings.model_dump(mode="json"))


def results_json(comparison: Comparison) -> dict[str, Any]:
    """Return what `results.json` holds; its parts are documented in README.md."""
    request = comparison.request
    return {
        "command": comparison.command,
        "versions": request.versions,
        "device": request.device,
        "seeds": list(request.seeds),
        "settings": request.settings.model_dump(mode="json"),
        "settings_hash": comparison.settings_hash(),
        "seconds": round(comparison.seconds, 1),
        "methods": [
            {
                "method": method.name,
                "label": method.label,
                "description": method.description,
                "breaks_isolation": method.breaks_isolation,
                "uses_other_markets": method.uses_other_markets,
            }
            for method in methods_named(request.methods)
        ],
        "results": [row for cell, result in comparison.results.items() for row in _rows(cell, result)],
        "summary": [_summary(summary, comparison) for summary in comparison.summaries],
        "heterogeneity": [
            {"method": method.name, "variant": variant, "seed": seed, "rounds": _finite(rounds)}
            for variant in request.variants
            for method in comparison.federated()
            for seed, rounds in comparison.rounds_of(method.name, variant).items()
        ],
        "contraction": {variant: asdict(found) for variant, found in comparison.contractions.items()},
        "interval": {
            "confidence": CONFIDENCE,
            "kind": "percentile bootstrap over users, gains averaged over seeds, paired with Local",
            "resamples": NUM_RESAMPLES,
        },
    }


def ranks_parquet(results: Results) -> bytes:
    """Return every user's ranks as Parquet; users are numbered as in the market's split, not named."""
    frames = [
        pl.DataFrame(
            {
                "user": np.arange(len(columns[VALIDATION]), dtype=np.int32),
                "rank_filtered": columns[FILTERED],
                "rank_unfiltered": columns[UNFILTERED],
                "rank_validation": columns[VALIDATION],
            }
        ).select(
            pl.lit(cell.method).alias("method"),
            pl.lit(cell.variant).alias("variant"),
            pl.lit(cell.seed, pl.Int32).alias("seed"),
            pl.lit(market).alias("market"),
            pl.all(),
        )
        for cell, result in results.items()
        for market, columns in result.ranks.items()
    ]
    buffer = io.BytesIO()
    pl.concat(frames).write_parquet(buffer)
    return buffer.getvalue()


def _rows(cell: Cell, result: CellResult) -> list[dict[str, Any]]:
    return [
        {
            "method": cell.method,
            "market": market,
            "seed": cell.seed,
            "variant": cell.variant,
            "filter": filtered,
            "users": len(columns[column]),
            **dict(zip(METRICS, gains(columns[column]).mean(axis=0).tolist(), strict=True)),
        }
        for filtered, column in FILTERS.items()
        for market, columns in result.ranks.items()
    ]


def _summary(summary: VariantSummary, comparison: Comparison) -> dict[str, Any]:
    return {
        "variant": summary.variant,
        "filter": summary.filter,
        "headline": HEADLINE,
        "markets": [
            {
                "market": market,
                "evaluated_users": users,
                "items": comparison.items[summary.variant][market],
                "is_tiny": market in summary.tiny,
                "local": summary.local.get(market),
            }
            for market, users in summary.users.items()
        ],
        "methods": [_method(method, summary) for method in summary.methods],
    }


def _method(method: MethodSummary, summary: VariantSummary) -> dict[str, Any]:
    (described,) = methods_named([method.method])
    by_taking_part = method.losers() if described.uses_other_markets else ()
    return {
        "method": method.method,
        "macro": dict(method.macro),
        "macro_by_seed": list(method.macro_by_seed),
        "macro_difference_to_local": _differences(method.macro_difference),
        "significantly_above_local": list(method.winners()),
        "significantly_below_local": list(method.losers()),
        "negative_transfer": list(by_taking_part),
        "source_degradation": summary.largest in by_taking_part,
        "markets": {
            market: {
                **figures,
                "difference_to_local": _differences(method.differences.get(market, {})),
            }
            for market, figures in method.markets.items()
        },
    }


def _differences(found: Mapping[str, Difference]) -> dict[str, dict[str, float]]:
    return {metric: asdict(difference) for metric, difference in found.items()}


def _finite(rounds: Sequence[RoundMeasures]) -> list[dict[str, Any]]:
    # JSON knows no infinity: updates that cancel have none.
    return [
        {
            name: None if value is None or not math.isfinite(value) else value
            for name, value in asdict(measured).items()
        }
        for measured in rounds
    ]
