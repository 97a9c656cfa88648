"""What a comparison says: figures per method and market, differences to Local, who lost by taking part."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fecosr.harness.compare.cells import FILTERED, UNFILTERED, VALIDATION, Cell, CellResult
from fecosr.harness.compare.registry import LOCAL
from fecosr.harness.compare.statistics import (
    METRICS,
    Difference,
    FloatArray,
    bootstrap_means,
    gains,
    interval,
    mean_gains,
)
from fecosr.harness.compare.variants import Variant
from fecosr.training.seeds import derive_seed

TINY_MARKET_USERS: Final = 500
"""A market with fewer evaluated users is flagged: its intervals are wide and single users count."""
NUM_RESAMPLES: Final = 2000
HEADLINE: Final = "ndcg@10"
"""The metric by which methods are compared; the others are reported beside it."""
FILTERS: Final[Mapping[str, str]] = {"on": FILTERED, "off": UNFILTERED}

Results = Mapping[Cell, CellResult]
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MethodSummary:
    """Hold one method's figures under one filter.

    Attributes:
        method: its name.
        markets: per market each metric's mean over seeds.
        macro: each metric's mean over markets.
        macro_by_seed: the headline's macro mean of every seed, to show how much seeds differ.
        differences: per market and metric the difference to Local; empty where Local is missing.
        macro_difference: of the macro means, by metric; users are resampled within their markets.
    """

    method: str
    markets: Mapping[str, Figures]
    macro: Figures
    macro_by_seed: tuple[float, ...]
    differences: Mapping[str, Mapping[str, Difference]] = field(default_factory=dict)
    macro_difference: Mapping[str, Difference] = field(default_factory=dict)

    def losers(self) -> tuple[str, ...]:
        """Return the markets that are significantly below Local by the headline."""
        return tuple(name for name, found in self.differences.items() if found[HEADLINE].is_below)

    def winners(self) -> tuple[str, ...]:
        """Return the markets that are significantly above Local by the headline."""
        return tuple(name for name, found in self.differences.items() if found[HEADLINE].is_above)


@dataclass(frozen=True, slots=True)
class VariantSummary:
    """Hold what all methods came to on one variant of the data under one filter.

    Attributes:
        variant: of the data.
        filter: "on" where items a user already has are not ranked, else "off".
        users: evaluated users of every market, largest market first.
        local: for each market the Local that differences are measured from: the better on validation users.
        methods: in the order of the report.
    """

    variant: Variant
    filter: str
    users: Mapping[str, int]
    local: Mapping[str, str]
    methods: tuple[MethodSummary, ...]

    @property
    def tiny(self) -> tuple[str, ...]:
        """Return the markets whose figures mean little."""
        return tuple(name for name, users in self.users.items() if users < TINY_MARKET_USERS)

    @property
    def largest(self) -> str:
        """Return the market whose loss is called source degradation."""
        return next(iter(self.users))

    def of(self, method: str) -> MethodSummary:
        """Return what one method came to."""
        return next(found for found in self.methods if found.method == method)


def summarise(results: Results) -> tuple[VariantSummary, ...]:
    """Return one summary per variant and filter."""
    variants = dict.fromkeys(cell.variant for cell in results)
    return tuple(_summarise(results, variant, filtered) for variant in variants for filtered in FILTERS)


def _summarise(results: Results, variant: Variant, filtered: str) -> VariantSummary:
    by_method: dict[str, list[CellResult]] = {}
    for cell, result in results.items():
        if cell.variant == variant:
            by_method.setdefault(cell.method, []).append(result)
    first = next(iter(by_method.values()))[0]
    users = {market: len(columns[VALIDATION]) for market, columns in first.ranks.items()}
    local = _best_local(by_method, users)
    column = FILTERS[filtered]
    of_users = {
        method: {market: mean_gains([result.ranks[market][column] for result in cells]) for market in users}
        for method, cells in by_method.items()
    }
    resampled = _resampled(of_users, local, f"{variant} {filtered}")
    methods = []
    for method, cells in by_method.items():
        markets = {market: _figures(of_users[method][market].mean(axis=0)) for market in users}
        by_seed = [
            np.mean([gains(r.ranks[market][column]).mean(axis=0) for market in users], 0) for r in cells
        ]
        own = {market: means[method] for market, means in resampled.items()}
        methods.append(
            MethodSummary(
                method=method,
                markets=markets,
                macro={metric: float(np.mean([markets[m][metric] for m in users])) for metric in METRICS},
                macro_by_seed=tuple(float(means[METRICS.index(HEADLINE)]) for means in by_seed),
                differences=_differences(of_users, own, method, local),
                macro_difference=_macro_difference(of_users, own, method, local),
            )
        )
    return VariantSummary(variant, filtered, users, local, tuple(methods))


def _best_local(by_method: Mapping[str, list[CellResult]], users: Mapping[str, int]) -> dict[str, str]:
    """Return for each market the Local with the better validation NDCG@10 over all seeds."""
    candidates = [name for name in LOCAL if name in by_method]
    if not candidates:
        return {}

    def validation(name: str, market: str) -> float:
        ranks = [result.ranks[market][VALIDATION] for result in by_method[name]]
        return float(mean_gains(ranks)[:, METRICS.index(HEADLINE)].mean())

    return {market: max(candidates, key=lambda name: validation(name, market)) for market in users}


def _resampled(
    of_users: Mapping[str, Mapping[str, FloatArray]], local: Mapping[str, str], purpose: str
) -> dict[str, dict[str, FloatArray]]:
    """Return per market and method the resampled mean differences to Local, [R, 3], from common draws."""
    resampled = {}
    for market, reference in local.items():
        columns = [found[market] - of_users[reference][market] for found in of_users.values()]
        generator = np.random.default_rng(derive_seed(0, "bootstrap", purpose, market))
        means = bootstrap_means(np.concatenate(columns, axis=1), NUM_RESAMPLES, generator)
        parts = np.split(means, len(of_users), axis=1)
        resampled[market] = dict(zip(of_users, parts, strict=True))
    return resampled


def _differences(
    of_users: Mapping[str, Mapping[str, FloatArray]],
    resampled: Mapping[str, FloatArray],
    method: str,
    local: Mapping[str, str],
) -> dict[str, dict[str, Difference]]:
    found = {}
    for market, reference in local.items():
        means = (of_users[method][market] - of_users[reference][market]).mean(axis=0)
        found[market] = {
            metric: interval(float(means[place]), resampled[market][:, place])
            for place, metric in enumerate(METRICS)
        }
    return found


def _macro_difference(
    of_users: Mapping[str, Mapping[str, FloatArray]],
    resampled: Mapping[str, FloatArray],
    method: str,
    local: Mapping[str, str],
) -> dict[str, Difference]:
    if not local:
        return {}
    means = np.mean(
        [(of_users[method][m] - of_users[ref][m]).mean(axis=0) for m, ref in local.items()], axis=0
    )
    macro = np.mean(list(resampled.values()), axis=0)  # [R, 3]
    return {metric: interval(float(means[place]), macro[:, place]) for place, metric in enumerate(METRICS)}


def _figures(means: FloatArray) -> dict[str, float]:
    return dict(zip(METRICS, means.tolist(), strict=True))
