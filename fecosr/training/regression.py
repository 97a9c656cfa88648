"""Fit a market model's item regression, and choose on validation users how much it says beside the logits."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from fecosr.data.sequences import ItemArray
from fecosr.recommender.metrics import RankingMetrics, metrics_of_ranks
from fecosr.recommender.model import RegressedModel
from fecosr.training.evaluation import evaluate, model_scorer, ranks_of_each, right_padded
from fecosr.training.prepared import PreparedMarket

GAINS: Final = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
"""Candidates besides zero: a weight of the regression is a share of one, a logit a few units."""


def fit_regression(model: RegressedModel, data: PreparedMarket) -> RankingMetrics:
    """Fit the regression of `model` on the training part and return the model's validation metrics with it.

    Guarantees:
        On validation NDCG@10 the model is at least as good as it was, up to rounding. Test targets are not
        touched.
    """
    best = evaluate(model, data, "validation")
    without = model_scorer(model, data)
    regression = model.attach_regression()
    if regression is None:
        return best
    regression.fit(data.split.train)
    device = regression.weights.device

    def with_each_gain(histories: Sequence[ItemArray]) -> list[npt.NDArray[np.float32]]:
        logits = without(histories)
        sequences, lengths = right_padded(histories, model.max_length)
        with torch.no_grad():
            added = regression(sequences.to(device), lengths.to(device)).cpu().numpy()  # [B, V]
        return [logits + np.float32(gain) * added for gain in GAINS]

    chosen = 0.0
    for gain, found in zip(GAINS, ranks_of_each(with_each_gain, data, "validation"), strict=True):
        metrics = metrics_of_ranks(found)
        if metrics.ndcg_10 > best.ndcg_10:
            chosen, best = gain, metrics
    regression.weights.mul_(chosen)
    # Measured again: with the gain inside the weights, the last bit of a score can be another one.
    return evaluate(model, data, "validation")
