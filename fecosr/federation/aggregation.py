"""What goes into a round and what comes out of it: weights, the mean update, names of models and sums."""

import hashlib
import math

import numpy as np
import numpy.typing as npt

from fecosr.errors import MisuseError
from fecosr.secagg.encoding import DecodedSum

Vector = npt.NDArray[np.float32]
RingVector = npt.NDArray[np.uint32]


def weight_of(num_users: int, *, reference_num_users: int, exponent: float) -> float:
    """Return a market's aggregation weight `min(1, n / reference) ** exponent`, in (0, 1].

    Exponent 1 weighs customers alike, 0 weighs markets alike; in between, a large market does not drown a
    small one. The weight travels as a masked coordinate: the coordinator learns only the sum of the weights.

    Raises:
        MisuseError: the market has no user.
    """
    if num_users < 1:
        raise MisuseError("a market without users has no weight")
    return float(min(1.0, num_users / reference_num_users) ** exponent)


def mean_update(total: DecodedSum) -> Vector:
    """Turn the sum, in place, into the weighted mean of the survivors' updates, rounded once per element.

    Returns:
        float32 [P], the memory of `total.update_sum`, which is not to be used any more.
    """
    return np.divide(total.update_sum, np.float32(total.weight), out=total.update_sum)


def is_finite(vector: Vector) -> bool:
    """Return whether every element is finite.

    An infinity or a NaN never leaves a sum, so one pass that stores nothing answers for almost all vectors.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.add.reduce(vector))
    return math.isfinite(total) or bool(np.isfinite(vector).all())


def sum_hash(total: RingVector) -> bytes:
    """Return the SHA-256 by which the ledger names an opened sum: of its uint32 elements, little endian."""
    return hashlib.sha256(np.ascontiguousarray(total, dtype="<u4").data).digest()


def parameters_hash(parameters: Vector) -> bytes:
    """Return the SHA-256 by which a model is named: of its float32 values, little endian."""
    return hashlib.sha256(np.ascontiguousarray(parameters, dtype="<f4").data).digest()
