"""Public projections: from as many dimensions as an embedding has to as many as the plan says."""

import numpy as np

from fecosr.recommender.semantics.signs import FloatArray, normalised, random_signs


def projected(vectors: FloatArray, dimension: int, seed: int) -> FloatArray:
    """Return the rows with length one and in `dimension` dimensions, the same function in every market.

    As many dimensions as asked for stay what they are; others go through random signs, by which cosines
    change by about `1 / sqrt(dimension)`.

    Args:
        vectors: float32 [V, E].
        dimension: a multiple of 8.
        seed: of the signs.

    Returns:
        float32 [V, dimension]; rows of zeros stay zero.

    Reference: Achlioptas 2003, "Database-friendly random projections".
    """
    unit = normalised(vectors)
    length = vectors.shape[1]
    if length == dimension:
        return unit
    signs = random_signs(b"projection", b"", length * dimension, seed).reshape(length, dimension)
    # In double: the order of summation, which is the machine's own, is then lost in the rounding to float32.
    return normalised((unit.astype(np.float64) @ signs.astype(np.float64)).astype(np.float32))


def side_by_side(first: FloatArray, second: FloatArray, share: float) -> FloatArray:
    """Return both parts of each row in one, so that `share` of a cosine is that of the first parts."""
    parts = (np.float32(share**0.5) * first, np.float32((1.0 - share) ** 0.5) * second)
    return normalised(np.concatenate(parts, axis=1))
