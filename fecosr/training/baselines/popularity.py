"""Popularity: recommend everyone what the market bought most."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fecosr.data.sequences import ItemArray
from fecosr.recommender.metrics import RankingMetrics, metrics_of_ranks
from fecosr.training.evaluation import Part, Scorer, ranks
from fecosr.training.prepared import PreparedMarket


def popularity_scorer(data: PreparedMarket) -> Scorer:
    """Return a function that scores every item by how often it occurs in the market's training part."""
    counts = np.zeros(data.num_items, np.float32)  # [V]
    for sequence in data.split.train:
        np.add.at(counts, sequence, 1.0)

    def score(histories: Sequence[ItemArray]) -> npt.NDArray[np.float32]:
        return np.broadcast_to(counts, (len(histories), len(counts)))  # [B, V]

    return score


def evaluate_popularity(data: PreparedMarket, part: Part, *, history_filtered: bool = True) -> RankingMetrics:
    """Return the metrics of popularity on the validation or the test targets of a market."""
    return metrics_of_ranks(ranks(popularity_scorer(data), data, part, history_filtered=history_filtered))
