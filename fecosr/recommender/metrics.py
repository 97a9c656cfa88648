"""Full-ranking metrics: every target is ranked against the market's whole catalogue, never a sample of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fecosr.errors import MisuseError

CUTOFF = 10


@dataclass(frozen=True, slots=True)
class RankingMetrics:
    """Hold one method's result in one market, each a mean over users with one target each.

    Attributes:
        num_users: users that were evaluated; with none, the means are 0.
        hr_10: share of users whose target ranks in the first ten.
        ndcg_10: mean of `1 / log2(1 + rank)` where the rank is at most ten, else 0.
        mrr: mean of `1 / rank`, over the whole catalogue.
    """

    num_users: int
    hr_10: float
    ndcg_10: float
    mrr: float


def target_ranks(
    scores: npt.NDArray[np.float32],
    targets: npt.NDArray[np.int64],
    histories: Sequence[npt.NDArray[np.int32]] | None,
) -> npt.NDArray[np.int64]:
    """Return the rank of each user's target, from 1, counting ties against it.

    `rank = 1 + number of other unseen items that score at least as much as the target`. So a model that gives
    every item the same score ranks each target last, not first. A target the user has seen before is ranked
    as if it were unseen.

    Args:
        scores: [U, V], finite.
        targets: [U], item numbers.
        histories: items each user has seen, which are not ranked; None ranks the whole catalogue.

    Returns:
        int64 [U].

    Raises:
        MisuseError: a score is not finite; comparing with NaN would rank the target first.
    """
    if not np.isfinite(scores).all():
        raise MisuseError("scores must be finite to be ranked")
    of_target = np.take_along_axis(scores, targets[:, None], axis=1)  # [U, 1]
    at_least = scores >= of_target  # [U, V]
    if histories is not None:
        for row, seen in enumerate(histories):
            at_least[row, seen] = False
    np.put_along_axis(at_least, targets[:, None], values=True, axis=1)
    ranks: npt.NDArray[np.int64] = at_least.sum(axis=1, dtype=np.int64)
    return ranks


def metrics_of_ranks(ranks: npt.NDArray[np.int64]) -> RankingMetrics:
    """Return the metrics of users whose targets have these ranks, int64 [U], from 1."""
    if len(ranks) == 0:
        return RankingMetrics(0, 0.0, 0.0, 0.0)
    hits = ranks <= CUTOFF
    gains = np.where(hits, 1.0 / np.log2(1.0 + ranks), 0.0)
    return RankingMetrics(len(ranks), float(hits.mean()), float(gains.mean()), float((1.0 / ranks).mean()))
