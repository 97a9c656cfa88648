"""The nearest items of every item by cosine, exactly."""

from dataclasses import dataclass, field

import numpy as np

from fecosr.recommender.semantics.signs import FloatArray, IntArray

_BLOCK_SCORES = 1 << 23
"""Similarities held at a time, 32 MiB: beyond that page faults cost more than the products."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Hold the nearest items of every item, nearest first, the item itself in front.

    Attributes:
        items: int64 [V, K].
        cosines: float32 [V, K].
    """

    items: IntArray = field(repr=False)
    cosines: FloatArray = field(repr=False)


def semantic_neighbours(vectors: FloatArray, num_neighbours: int) -> Neighbours:
    """Return the `num_neighbours` nearest items of each item by cosine, exactly, itself included.

    The item itself always stands first, whatever else has the same vector; other ties go to the lower number.
    A catalogue with fewer items is returned whole.

    Args:
        vectors: float32 [V, Z], rows of length one.
        num_neighbours: K.
    """
    num_items = len(vectors)
    kept = min(num_neighbours, num_items)
    items = np.empty((num_items, kept), np.int64)
    cosines = np.empty((num_items, kept), np.float32)
    rows_at_a_time = max(1, _BLOCK_SCORES // max(1, num_items))
    for start in range(0, num_items, rows_at_a_time):
        block = slice(start, min(start + rows_at_a_time, num_items))
        items[block], cosines[block] = _nearest(vectors, block, kept)
    return Neighbours(items, cosines)


def _nearest(vectors: FloatArray, block: slice, kept: int) -> tuple[IntArray, FloatArray]:
    scores = vectors[block] @ vectors.T  # [rows, V]
    rows = np.arange(len(scores))
    own = rows + block.start
    scores[rows, own] = np.inf
    # A stable sort on the rounded score makes ties independent of the order in which a product was summed.
    order = np.argsort(-np.round(scores, 5), axis=1, kind="stable")[:, :kept]  # [rows, K]
    cosines = np.take_along_axis(scores, order, axis=1)
    cosines[:, 0] = 1.0
    return order.astype(np.int64), np.clip(cosines, -1.0, 1.0)
