"""From local updates to the next model: weights on the way in, the server optimiser on the way out."""

import hashlib

import numpy as np
import numpy.typing as npt

from fecosr.errors import MisuseError

Vector = npt.NDArray[np.float32]


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


def fedavg(parameters: Vector, mean_update: Vector, *, learning_rate: float) -> Vector:
    """Return the shared parameters after one server step, `parameters + learning_rate * mean_update`.

    Args:
        parameters: float32 [P], the model the round started from.
        mean_update: float32 [P], the weighted mean of the survivors' updates.
        learning_rate: 1 gives plain FedAvg.

    Reference: McMahan et al. 2017, Algorithm 1, in the form of Reddi et al. 2021, Algorithm 1 (SGD server).
    """
    return parameters + np.float32(learning_rate) * mean_update


def parameters_hash(parameters: Vector) -> bytes:
    """Return the SHA-256 by which a model is named: of its float32 values, little endian."""
    return hashlib.sha256(np.ascontiguousarray(parameters, dtype="<f4").data).digest()
