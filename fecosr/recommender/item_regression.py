"""What items of one history say about each other: a ridge regression of every item on all others.

    B = argmin |X - X B|^2 + ridge |B|^2, diagonal zero        B_ij = -P_ij / P_jj,  P = (X^T X + ridge)^-1

X holds which user has which item. It needs no gradient and no other market, knows exact co-occurrence where a
state of D numbers can only come near it, and is added to the logits of a market's own model. It is a table of
one market's items: like the local item embedding it never leaves.

Reference: Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", equation 8.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fecosr.recommender.semantics import IntArray
from fecosr.recommender.settings import AdapterSettings


class ItemRegression(nn.Module):
    """Score all items by what a user's history predicts of them: zero until it is fitted.

    Attributes:
        neighbours: int64 [V, K], the items that an item speaks for most; item 0 where there are fewer.
        weights: float32 [V, K], how much, times the gain; never negative, and zero where there are fewer.
    """

    neighbours: Tensor
    weights: Tensor

    def __init__(self, num_items: int, settings: AdapterSettings) -> None:
        super().__init__()
        kept = settings.regression_neighbours
        self.settings = settings
        self.register_buffer("neighbours", torch.zeros(num_items, kept, dtype=torch.int64))
        self.register_buffer("weights", torch.zeros(num_items, kept))

    def fit(self, sequences: Sequence[np.typing.NDArray[np.int32]]) -> None:
        """Take over the regression on these histories, with a gain of one."""
        neighbours, weights = item_regression(sequences, len(self.weights), self.settings)
        self.neighbours.copy_(neighbours)
        self.weights.copy_(weights)

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Return what histories add to the logits, [B, V].

        An item counts `recency ^ n`, n being how many items came after it; one that occurs again counts once,
        where it occurred last.

        Args:
            sequences: int64 [B, L], padded on the right.
            lengths: int64 [B].
        """
        places = torch.arange(sequences.shape[1], device=sequences.device)  # [L]
        age = lengths[:, None] - 1 - places  # [B, L]
        later = (places[:, None] < places) & (age >= 0)[:, None, :]  # [B, L, L]
        again = ((sequences[:, :, None] == sequences[:, None, :]) & later).any(dim=2)  # [B, L]
        counts = torch.where((age >= 0) & ~again, self.settings.recency ** age.clamp(min=0).float(), 0.0)
        items = self.neighbours[sequences].flatten(1)  # [B, L * K]
        values = (self.weights[sequences] * counts[:, :, None]).flatten(1)  # [B, L * K]
        scores = values.new_zeros(sequences.shape[0], len(self.weights))  # [B, V]
        return scores.scatter_add(1, items, values)


def item_regression(
    sequences: Sequence[np.typing.NDArray[np.int32]], num_items: int, settings: AdapterSettings
) -> tuple[Tensor, Tensor]:
    """Return the largest positive weights of each item's row of B.

    Only the `regression_items` items with most users take part: time grows with their cube, memory with their
    square.

    Args:
        sequences: one per user; how often a user has an item does not count.
        num_items: V.
        settings: ridge, neighbours and items.

    Returns:
        neighbours, int64 [V, K], and weights, float32 [V, K], largest first, of equal ones the lower number.
    """
    baskets = [np.unique(sequence).astype(np.int64) for sequence in sequences]
    users = np.bincount(np.concatenate([np.zeros(0, np.int64), *baskets]), minlength=num_items)  # [V]
    chosen = np.sort(np.argsort(-users, kind="stable")[: settings.regression_items])
    weights = _ease(_gram(baskets, chosen, num_items), settings.ridge).clamp_(min=0.0)  # [C, C]
    kept = settings.regression_neighbours
    strongest, order = weights.sort(dim=1, descending=True, stable=True)
    own_neighbours = torch.zeros(num_items, kept, dtype=torch.int64)
    own_weights = torch.zeros(num_items, kept)
    rows, width = torch.from_numpy(chosen), min(kept, len(chosen))
    own_neighbours[rows, :width] = rows[order[:, :width]]
    own_weights[rows, :width] = strongest[:, :width]
    return own_neighbours, own_weights


def _gram(baskets: list[IntArray], chosen: IntArray, num_items: int) -> Tensor:
    """Return how many users have both of two items, float32 [C, C]."""
    place = np.full(num_items, -1)
    place[chosen] = np.arange(len(chosen))
    gram = np.zeros((len(chosen), len(chosen)), np.float32)
    for basket in baskets:
        known = place[basket]
        known = known[known >= 0]
        gram[np.ix_(known, known)] += 1.0
    return torch.from_numpy(gram)


def _ease(gram: Tensor, ridge: float) -> Tensor:
    gram.diagonal().add_(ridge)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))  # [C, C]
    weights = inverse / -inverse.diagonal()
    weights.fill_diagonal_(0.0)
    return weights
