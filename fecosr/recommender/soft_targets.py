"""The soft targets of S2CE, one for every item of a catalogue, without the zeros of a V x V table.

For a target y and the items N(y) over which its neighbourhood is spread, y included,

    q_y(j) = softmax over j in N(y) of cos(z_y, z_j) / tau        t_y = (1 - alpha) onehot(y) + alpha q_y

N(y) is a setting. "neighbours" are the K items nearest to y: q is zero outside by definition. "catalogue" are
all items; a softmax over thousands of items has a tail that can outweigh the target, so it is not cut off:
small catalogues store q exactly, and in large ones the K nearest items keep their exact shares while what is
left is spread evenly over the others. alpha = 0, or tau towards 0, leaves the hard target of cross-entropy.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fecosr.recommender.semantics import FloatArray, semantic_neighbours
from fecosr.recommender.settings import S2CESettings

_MOST_EXACT_ITEMS = 4096
"""Items of a catalogue whose q is stored whole, at most: 64 MiB."""

_BLOCK_COSINES = 1 << 22
"""Cosines held at a time, 32 MiB in double precision."""


@dataclass(frozen=True, slots=True, eq=False)
class SoftTargets:
    """Hold t_y for every item y of a catalogue.

    Attributes:
        shares: float32 [V, K], t_y at `items`, without what `uniform` adds.
        items: int64 [V, K], the items that share the target, y itself first; None where K = V and column j of
            `shares` is item j.
        uniform: float32 [V], the part of t_y that is spread over all V items alike; None for none.
    """

    shares: Tensor = field(repr=False)
    items: Tensor | None = field(default=None, repr=False)
    uniform: Tensor | None = field(default=None, repr=False)

    def to(self, device: torch.device) -> "SoftTargets":
        """Return the same targets on a device."""
        items, uniform = (None if part is None else part.to(device) for part in (self.items, self.uniform))
        return SoftTargets(self.shares.to(device), items, uniform)


def hard_targets(num_items: int) -> SoftTargets:
    """Return t_y = onehot(y) for every item: with it, `soft_cross_entropy` is cross-entropy."""
    return SoftTargets(torch.ones(num_items, 1), torch.arange(num_items)[:, None])


def semantic_targets(vectors: FloatArray, settings: S2CESettings) -> SoftTargets:
    """Return t_y = (1 - alpha) onehot(y) + alpha q_y for every item.

    Args:
        vectors: z, float32 [V, Z], rows of length one.
        settings: alpha, tau, K and what N(y) is.
    """
    if settings.alpha == 0.0:
        return hard_targets(len(vectors))
    if settings.support == "neighbours":
        return _over_neighbours(vectors, settings)
    if len(vectors) <= _MOST_EXACT_ITEMS:
        return _over_all(vectors, settings)
    return _over_all_nearly(vectors, settings)


def smoothed(soft: SoftTargets, smoothing: float) -> SoftTargets:
    """Return `(1 - smoothing) t_y + smoothing / V` for every item y.

    Reference: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7.
    """
    kept = 1.0 - smoothing
    before = torch.zeros(len(soft.shares)) if soft.uniform is None else soft.uniform
    return SoftTargets(kept * soft.shares, soft.items, kept * before + smoothing)


def _over_neighbours(vectors: FloatArray, settings: S2CESettings) -> SoftTargets:
    nearest = semantic_neighbours(vectors, settings.num_neighbours)
    cosines = torch.from_numpy(nearest.cosines).double()  # [V, K]
    shares = settings.alpha * torch.softmax(cosines / settings.tau, dim=1)  # [V, K]
    shares[:, 0] += 1.0 - settings.alpha
    return SoftTargets(shares.float(), torch.from_numpy(nearest.items))


def _over_all(vectors: FloatArray, settings: S2CESettings) -> SoftTargets:
    shares = torch.empty(len(vectors), len(vectors))  # [V, V]
    for rows, scores in _scores_in_blocks(vectors, settings.tau):
        shares[rows] = settings.alpha * torch.softmax(scores, dim=1).float()
    shares.diagonal().add_(1.0 - settings.alpha)
    return SoftTargets(shares)


def _over_all_nearly(vectors: FloatArray, settings: S2CESettings) -> SoftTargets:
    nearest = semantic_neighbours(vectors, settings.num_neighbours)
    log_normaliser = torch.empty(len(vectors), dtype=torch.float64)  # [V]
    for rows, scores in _scores_in_blocks(vectors, settings.tau):
        log_normaliser[rows] = torch.logsumexp(scores, dim=1)
    scores = torch.from_numpy(nearest.cosines).double() / settings.tau  # [V, K]
    q = torch.exp(scores - log_normaliser[:, None])  # [V, K]
    num_others = len(vectors) - q.shape[1]
    of_each_other = (1.0 - q.sum(dim=1)).clamp(min=0.0) / max(1, num_others)  # [V]
    # Everybody gets the share of an item that is not near; the near ones get what they have beyond it.
    shares = settings.alpha * (q - of_each_other[:, None])  # [V, K]
    shares[:, 0] += 1.0 - settings.alpha
    uniform = settings.alpha * of_each_other * len(vectors)  # [V]
    return SoftTargets(shares.float(), torch.from_numpy(nearest.items), uniform.float())


def _scores_in_blocks(vectors: FloatArray, tau: float) -> Iterator[tuple[slice, Tensor]]:
    """Yield `cos(z_y, z_j) / tau` for all j, float64 [rows, V], block by block of items y."""
    every = torch.from_numpy(vectors)  # [V, Z]
    size = max(1, _BLOCK_COSINES // max(1, len(vectors)))
    for start in range(0, len(vectors), size):
        rows = slice(start, min(start + size, len(vectors)))
        yield rows, (every[rows] @ every.T).double() / tau
