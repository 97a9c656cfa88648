"""Random vectors of item ids: they say which items are the same, and nothing about which are alike."""

from collections.abc import Sequence

import numpy as np

from fecosr.recommender.semantics.signs import FloatArray, normalised, random_signs
from fecosr.recommender.settings import SemanticsSettings


def identifier_semantics(item_ids: Sequence[str], settings: SemanticsSettings) -> FloatArray:
    """Return one random vector per id: equal ids agree in all markets, different ids are nearly orthogonal.

    Returns:
        float32 [V, Z], rows of length one.
    """
    vectors = np.empty((len(item_ids), settings.dimension), np.float32)
    for row, item_id in enumerate(item_ids):
        vectors[row] = random_signs(b"item-id", item_id.encode(), settings.dimension, settings.seed)
    return normalised(vectors)
