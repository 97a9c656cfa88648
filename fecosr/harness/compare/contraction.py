"""Why soft targets pull markets together: how much closer their target distributions come under S2CE.

With equal states the label part of two markets' gradients differs by pi_m - pi_n under cross-entropy, and by
S^T (pi_m - pi_n) under soft targets, where row y of S is the soft target of y, the same in all markets.

    contraction = |S^T (pi_m - pi_n)|_1 / |pi_m - pi_n|_1  <=  delta(S) = max over i, j of |S_i - S_j|_1 / 2

Cross-entropy has S = I and contraction 1. pi_m are the shares of the training targets of market m. S is made
over the union of all catalogues here, because there is one S only if there is one catalogue; training itself
spreads over each market's own items.

Reference: Dobrushin 1956, for the coefficient delta.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fecosr.harness.compare.pooling import UnionCatalogue, union_catalogue
from fecosr.harness.compare.study import Study
from fecosr.recommender.soft_targets import SoftTargets, semantic_targets
from fecosr.training.prepared import PreparedMarket

Distribution = npt.NDArray[np.float64]

_MOST_EXACT_WORK: Final = 1 << 31
_ROWS_AT_A_TIME: Final = 256


@dataclass(frozen=True, slots=True)
class Contraction:
    """Hold what S2CE does to the difference between two markets.

    Attributes:
        markets: the two.
        shared_items: items that both sell.
        over_shared: contraction of their target distributions over these items; None without such items, or
            if the distributions agree.
        over_union: contraction of their whole target distributions; without shared items those are as far
            apart as they can be, so all of it is the semantics' doing.
    """

    markets: tuple[str, str]
    shared_items: int
    over_shared: float | None
    over_union: float | None


@dataclass(frozen=True, slots=True)
class ContractionSummary:
    """Hold the contraction of every pair of markets, and what bounds it.

    Attributes:
        pairs: of markets.
        dobrushin: delta(S), or a bound on it; 1 promises nothing.
        is_exact: whether `dobrushin` is delta(S) itself.
    """

    pairs: tuple[Contraction, ...]
    dobrushin: float
    is_exact: bool


def measure_contraction(study: Study) -> ContractionSummary:
    """Return what the study's soft targets do to the differences between its markets."""
    union = union_catalogue(study)
    soft = semantic_targets(union.semantics.numpy(), study.settings.s2ce)
    shares = {name: target_shares(data, union, name) for name, data in study.markets.items()}
    pairs = tuple(_pair(first, second, union, shares, soft) for first, second in combinations(shares, 2))
    coefficient, is_exact = dobrushin(soft)
    return ContractionSummary(pairs, coefficient, is_exact)


def target_shares(data: PreparedMarket, union: UnionCatalogue, name: str) -> Distribution:
    """Return how a market's training targets are distributed over the union catalogue, float64 [V]."""
    targets = [union.rows[name][sequence[1:]] for sequence in data.split.train]
    counts = np.bincount(np.concatenate(targets), minlength=len(union.item_ids))
    shares: Distribution = counts / max(1, counts.sum())
    return shares


def contraction_of(first: Distribution, second: Distribution, soft: SoftTargets) -> float | None:
    """Return `|S^T (first - second)|_1 / |first - second|_1`; None if the two agree."""
    apart = torch.from_numpy(first - second)
    before = float(apart.abs().sum())
    return float(spread(apart, soft).abs().sum()) / before if before > 0 else None


def spread(masses: Tensor, soft: SoftTargets) -> Tensor:
    """Return `S^T masses`, float64 [V]: every item's mass dealt out by its soft target."""
    dealt = masses[:, None] * soft.shares.double()  # [V, K]
    if soft.items is None:
        result = dealt.sum(dim=0)
    else:
        result = torch.zeros_like(masses).index_add_(0, soft.items.reshape(-1), dealt.reshape(-1))
    if soft.uniform is not None:
        result = result + (masses * soft.uniform.double()).sum() / len(masses)
    return result


def dobrushin(soft: SoftTargets) -> tuple[float, bool]:
    """Return delta(S) and True, or where that takes too long, a bound on it and False.

    The bound is 1 - sum over columns of the smallest entry (Doeblin): two rows have at least that in common.
    """
    num_items = len(soft.shares)
    if num_items**3 <= _MOST_EXACT_WORK:
        rows = dense_rows(soft, 0, num_items)
        return float(torch.cdist(rows, rows, p=1).max()) / 2.0, True
    smallest = torch.full((num_items,), torch.inf, dtype=torch.float64)
    for start in range(0, num_items, _ROWS_AT_A_TIME):
        block = dense_rows(soft, start, min(start + _ROWS_AT_A_TIME, num_items))
        smallest = torch.minimum(smallest, block.amin(dim=0))
    return 1.0 - float(smallest.sum()), False


def dense_rows(soft: SoftTargets, start: int, stop: int) -> Tensor:
    """Return rows of S with their zeros, float64 [rows, V]."""
    num_items, shares = len(soft.shares), soft.shares[start:stop].double()
    dense = (
        shares.clone() if soft.items is None else torch.zeros(stop - start, num_items, dtype=torch.float64)
    )
    if soft.items is not None:
        dense.scatter_add_(1, soft.items[start:stop], shares)
    if soft.uniform is not None:
        dense += soft.uniform[start:stop, None].double() / num_items
    return dense


def _pair(
    first: str, second: str, union: UnionCatalogue, shares: dict[str, Distribution], soft: SoftTargets
) -> Contraction:
    both = np.intersect1d(union.rows[first], union.rows[second])
    inside = np.zeros(len(union.item_ids))
    inside[both] = 1.0
    of_shared = [shares[name] * inside for name in (first, second)]
    masses = [float(part.sum()) for part in of_shared]
    over_shared = None
    if min(masses) > 0:
        normalised = [part / mass for part, mass in zip(of_shared, masses, strict=True)]
        over_shared = contraction_of(normalised[0], normalised[1], soft)
    return Contraction(
        (first, second), len(both), over_shared, contraction_of(shares[first], shares[second], soft)
    )
