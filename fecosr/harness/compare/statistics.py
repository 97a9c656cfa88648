"""From ranks to figures: metrics per user, paired differences, and intervals by resampling users.

The interval of a difference is the percentile bootstrap over users: per-user gains of two methods are
averaged over the seeds and subtracted, then users are drawn with replacement. All methods of a market share
the draws, so every comparison is paired. What varies between seeds is inside the averages; what the interval
covers is which users there happened to be.

Reference: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.harness.compare.cells import RankArray
from fecosr.recommender.metrics import CUTOFF

FloatArray = npt.NDArray[np.float64]

METRICS: Final = ("hr@10", "ndcg@10", "mrr")
CONFIDENCE: Final = 0.95
_BLOCK_COUNTS: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold a mean difference with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def is_below(self) -> bool:
        """Return whether the whole interval is below zero."""
        return self.high < 0.0

    @property
    def is_above(self) -> bool:
        """Return whether the whole interval is above zero."""
        return self.low > 0.0


def gains(ranks: RankArray) -> FloatArray:
    """Return what each user's target contributes to each of `METRICS`, float64 [U, 3]."""
    hits = ranks <= CUTOFF
    exact = ranks.astype(np.float64)
    return np.stack([hits, np.where(hits, 1.0 / np.log2(1.0 + exact), 0.0), 1.0 / exact], axis=1)


def mean_gains(ranks_by_seed: Sequence[RankArray]) -> FloatArray:
    """Return every user's gains averaged over seeds, float64 [U, 3]."""
    means: FloatArray = np.mean([gains(ranks) for ranks in ranks_by_seed], axis=0)
    return means


def bootstrap_means(values: FloatArray, num_resamples: int, generator: np.random.Generator) -> FloatArray:
    """Return the column means of users drawn with replacement, once per resample.

    Args:
        values: [U, C] with U >= 1; all columns see the same draws.
        num_resamples: R.
        generator: decides the draws.

    Returns:
        [R, C].
    """
    num_users = len(values)
    means = np.empty((num_resamples, values.shape[1]))
    size = max(1, _BLOCK_COUNTS // num_users)
    for start in range(0, num_resamples, size):
        rows = min(size, num_resamples - start)
        drawn = generator.integers(num_users, size=(rows, num_users))
        drawn += np.arange(rows)[:, None] * num_users
        # How often each user was drawn turns the resampled means into one matrix product.
        counts = np.bincount(drawn.ravel(), minlength=rows * num_users).reshape(rows, num_users)
        means[start : start + rows] = counts @ values / num_users
    return means


def interval(mean: float, resampled: FloatArray) -> Difference:
    """Return a mean with the percentile interval of its resampled values, [R]."""
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(resampled, [tail, 1.0 - tail])
    return Difference(mean, float(low), float(high))
