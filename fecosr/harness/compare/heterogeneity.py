"""How far the markets pull apart in a round, from their updates alone.

    cosine         mean over pairs m != n of <u_m, u_n> / (|u_m| |u_n|)
    dissimilarity  mean over m of |u_m|^2  /  |mean over m of u_m|^2        at least 1, and 1 if all agree

u_m is market m's clipped update; markets count alike. These are updates of whole local epochs, not gradients
at one point: what the aggregation really averages.

Reference: Karimireddy et al. 2020, "SCAFFOLD", assumption A1, for (G, B)-dissimilarity.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fecosr.training.parameters import FloatVector


@dataclass(frozen=True, slots=True)
class RoundMeasures:
    """Hold what one round says about the markets.

    Attributes:
        round: from 1.
        loss: weighted mean of the local training losses.
        update_norm: mean L2 norm of the updates.
        cosine: mean pairwise cosine of the updates; 1 with a single market.
        dissimilarity: mean squared norm over squared norm of the mean; infinite if the updates cancel.
        validation: weighted mean NDCG@10 on validation users of the model the round began with, if measured.
    """

    round: int
    loss: float
    update_norm: float
    cosine: float
    dissimilarity: float
    validation: float | None = None


def measure_round(
    number: int,
    updates: Mapping[str, FloatVector],
    weights: Mapping[str, float],
    losses: Mapping[str, float],
    metrics: Mapping[str, float] | None = None,
) -> RoundMeasures:
    """Return the measures of one round from every market's update, weight, loss and validation metric."""
    stacked = np.stack([update.astype(np.float64) for update in updates.values()])  # [M, P]
    norms = np.linalg.norm(stacked, axis=1)  # [M]
    total = sum(weights.values())
    return RoundMeasures(
        round=number,
        loss=sum(weights[name] * losses[name] for name in updates) / total,
        validation=(
            None if metrics is None else sum(weights[name] * metrics[name] for name in updates) / total
        ),
        update_norm=float(norms.mean()),
        cosine=mean_pairwise_cosine(stacked),
        dissimilarity=dissimilarity(stacked),
    )


def mean_pairwise_cosine(vectors: np.ndarray) -> float:
    """Return the mean cosine over pairs of different rows, [M, P]; a zero row is orthogonal to all."""
    num = len(vectors)
    if num < 2:
        return 1.0
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    cosines = units @ units.T  # [M, M]
    return float((cosines.sum() - np.trace(cosines)) / (num * (num - 1)))


def dissimilarity(vectors: np.ndarray) -> float:
    """Return the mean squared norm of the rows, [M, P], over the squared norm of their mean."""
    of_mean = float(np.square(vectors.mean(axis=0)).sum())
    mean_of = float(np.square(vectors).sum(axis=1).mean())
    return mean_of / of_mean if of_mean > 0 else float("inf") if mean_of > 0 else 1.0
