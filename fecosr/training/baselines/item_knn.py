"""Item-KNN: recommend what was bought by those who bought the same. Counting, and hard to beat by learning.

    cos(i, j) = n_ij / sqrt(n_i n_j)        score(j | history) = sum over items i of the history of cos(i, j)

n_i counts the users whose training part holds item i, n_ij those who have both; i is no neighbour of itself.

Reference: Sarwar et al. 2001, "Item-Based Collaborative Filtering Recommendation Algorithms".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fecosr.data.sequences import ItemArray
from fecosr.recommender.metrics import RankingMetrics, metrics_of_ranks
from fecosr.training.evaluation import Part, Scorer, ranks
from fecosr.training.prepared import PreparedMarket


@dataclass(frozen=True, slots=True, eq=False)
class CoOccurrences:
    """Hold the neighbours of every item, those of item i at `starts[i] : starts[i + 1]`.

    Attributes:
        starts: int64 [V + 1].
        items: int64, the neighbours.
        cosines: float64, how near they are, above 0.
    """

    starts: npt.NDArray[np.int64] = field(repr=False)
    items: npt.NDArray[np.int64] = field(repr=False)
    cosines: npt.NDArray[np.float64] = field(repr=False)


def co_occurrences(
    sequences: Sequence[ItemArray], num_items: int, num_neighbours: int | None = None
) -> CoOccurrences:
    """Return the cosine neighbours of all items.

    Args:
        sequences: one per user; how often a user has an item does not count.
        num_items: V.
        num_neighbours: most neighbours of an item, of equally near ones those with lower numbers; None keeps
            all items that share a user with it.
    """
    baskets = [np.unique(sequence).astype(np.int64) for sequence in sequences]
    pairs = [_pairs(basket, num_items) for basket in baskets]
    codes, together = np.unique(np.concatenate([np.zeros(0, np.int64), *pairs]), return_counts=True)
    left, right = np.divmod(codes, num_items)
    users = np.bincount(np.concatenate([np.zeros(0, np.int64), *baskets]), minlength=num_items)  # [V]
    cosines = together / np.sqrt(users[left].astype(np.float64) * users[right])
    order = np.lexsort((right, -cosines, left))
    starts = np.searchsorted(left, np.arange(num_items + 1))  # [V + 1]
    if num_neighbours is not None:
        place = np.arange(len(order)) - starts[left]
        order = order[place < num_neighbours]
        starts = np.searchsorted(left[order], np.arange(num_items + 1))  # [V + 1]
    return CoOccurrences(starts, right[order], cosines[order])


def item_knn_scorer(data: PreparedMarket, num_neighbours: int | None = None) -> Scorer:
    """Return a function that scores every item by its summed similarity to the items of a history."""
    near = co_occurrences(data.split.train, data.num_items, num_neighbours)

    def score(histories: Sequence[ItemArray]) -> npt.NDArray[np.float32]:
        scores = np.zeros((len(histories), data.num_items), np.float32)  # [B, V]
        for row, history in enumerate(histories):
            slices = [slice(near.starts[item], near.starts[item + 1]) for item in np.unique(history)]
            items = np.concatenate([near.items[places] for places in slices])
            cosines = np.concatenate([near.cosines[places] for places in slices])
            scores[row] = np.bincount(items, cosines, minlength=data.num_items)
        return scores

    return score


def evaluate_item_knn(
    data: PreparedMarket,
    part: Part,
    *,
    history_filtered: bool = True,
    num_neighbours: int | None = None,
) -> RankingMetrics:
    """Return the metrics of item-KNN on the validation or the test targets of a market."""
    scorer = item_knn_scorer(data, num_neighbours)
    return metrics_of_ranks(ranks(scorer, data, part, history_filtered=history_filtered))


def _pairs(basket: npt.NDArray[np.int64], num_items: int) -> npt.NDArray[np.int64]:
    """Return `i * V + j` for all ordered pairs of different items that one user has."""
    codes = basket[:, None] * num_items + basket
    different: npt.NDArray[np.int64] = codes[~np.eye(len(basket), dtype=np.bool_)]
    return different
