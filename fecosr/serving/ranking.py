"""The best k items of each user. Equal scores are decided: the item with the lower id comes first."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fecosr.data.sequences import ItemArray
from fecosr.errors import MisuseError

NO_ITEM = -1
"""Stands where a user has fewer than k items left."""


def best_items(
    scores: npt.NDArray[np.float32],
    k: int,
    *,
    seen: Sequence[ItemArray] | None,
    allowed: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int64]:
    """Return the numbers of the k best items of each user, best first.

    Args:
        scores: [B, V], finite.
        k: at least 1.
        seen: items of each user that are left out; None leaves none out.
        allowed: bool [V], the items that may be recommended to anybody.

    Returns:
        int64 [B, k], `NO_ITEM` at the end of rows with fewer than k items to choose from.

    Raises:
        MisuseError: `k` is below 1, or a score is not finite.
    """
    if k < 1 or not np.isfinite(scores).all():
        raise MisuseError("k must be at least 1 and every score finite")
    open_scores = np.where(allowed, scores, -np.inf)  # [B, V]
    for row, items in enumerate(seen or ()):
        open_scores[row, items] = -np.inf
    found = np.full((len(scores), k), NO_ITEM, np.int64)
    last = max(0, scores.shape[1] - k)
    # Every item that scores at least as much as the k-th best is a candidate: ties at the edge are seen.
    edges = np.partition(open_scores, last, axis=1)[:, last] if scores.size else scores[:, :0]  # [B]
    for row, edge in enumerate(edges):
        candidates = np.flatnonzero((open_scores[row] >= edge) & (open_scores[row] > -np.inf))
        # Candidates ascend, and a stable sort keeps that order among equal scores.
        best = candidates[np.argsort(-open_scores[row, candidates], kind="stable")][:k]
        found[row, : len(best)] = best
    return found
