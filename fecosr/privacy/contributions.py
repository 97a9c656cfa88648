"""Per-user vectors become integers of bounded norm, their noisy sum ring elements, and that sum reals."""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from fecosr.errors import MisuseError
from fecosr.privacy.clipping import l2_norm
from fecosr.privacy.discrete_gaussian import BLOCK_DRAWS, NoiseStream
from fecosr.privacy.integer_mechanism import IntegerMechanism

_SHRINK = 1.0 - 2.0**-20
"""Applied as often as rounding carries a norm over the bound, which is hardly ever once."""

FloatVector = npt.NDArray[np.float32]
IntegerVector = npt.NDArray[np.int64]


def to_units(contribution: FloatVector, mechanism: IntegerMechanism) -> npt.NDArray[np.int32]:
    """Return what one user adds to the sum, int32 [P]: clipped, in units, rounded toward zero.

    Args:
        contribution: float32 [P]. One that is not finite counts as zero: that must neither spoil the sum nor,
            by an error, tell anybody that a certain user took part.
        mechanism: clip_norm and unit.

    Raises:
        MisuseError: not a float32 vector of this mechanism.

    Guarantees:
        Sensitivity: the L2 norm of the result is at most clip_units, exactly; it is computed in integers.
    """
    if contribution.dtype != np.float32 or contribution.shape != (mechanism.num_parameters,):
        raise MisuseError(f"a contribution is float32 [{mechanism.num_parameters}]")
    norm = _norm(contribution)
    if not 0.0 < norm < math.inf:
        return np.zeros(len(contribution), np.int32)
    factor = mechanism.clip_units * min(1.0 / norm, 1.0 / mechanism.clip_norm)
    bound = mechanism.clip_units**2
    units = _scaled(contribution, factor)
    while _squared_norm(units) > bound:
        factor *= _SHRINK
        units = _scaled(contribution, factor)
    return units


def add_contributions(
    total: IntegerVector, contributions: Iterable[FloatVector], mechanism: IntegerMechanism
) -> None:
    """Add what every user of a batch contributes, in place, to the sum over the users so far, int64 [P]."""
    for contribution in contributions:
        np.add(total, to_units(contribution, mechanism), out=total)


def noisy_sum(total: IntegerVector, mechanism: IntegerMechanism, seed: bytes) -> IntegerVector:
    """Return the sum over a node's users with one share of the noise, int64 [P].

    Args:
        total: sum over the users.
        mechanism: share_variance.
        seed: 32 secret uniform bytes that are used for nothing else.
    """
    noisy = total.copy()
    stream, block = NoiseStream(seed, mechanism.share_variance), np.empty(BLOCK_DRAWS, np.int32)
    for start in range(0, len(noisy), BLOCK_DRAWS):
        part = noisy[start : start + BLOCK_DRAWS]
        stream.fill(block[: len(part)])
        np.add(part, block[: len(part)], out=part)
    return noisy


def to_ring(noisy: IntegerVector) -> npt.NDArray[np.uint32]:
    """Return integers as elements of the ring modulo 2^32, uint32 [P]."""
    return noisy.astype(np.uint32)


def from_ring(total: npt.NDArray[np.uint32], mechanism: IntegerMechanism) -> FloatVector:
    """Return the reals that a sum of ring elements stands for, float32 [P]; a public constant divides it.

    Raises:
        MisuseError: not a uint32 vector of this mechanism.
    """
    if total.dtype != np.uint32 or total.shape != (mechanism.num_parameters,):
        raise MisuseError(f"a sum is uint32 [{mechanism.num_parameters}]")
    return (total.view(np.int32) * mechanism.unit).astype(np.float32)


def _norm(vector: FloatVector) -> float:
    # Pairwise float32 sums are right to six digits, and what they miss is seen in integers. Only squares that
    # leave the range of float32 need the slow way.
    with np.errstate(over="ignore", invalid="ignore"):
        squares = float(np.square(vector).sum())
    return math.sqrt(squares) if 1e-30 < squares < math.inf else l2_norm(vector)


def _scaled(vector: FloatVector, factor: float) -> npt.NDArray[np.int32]:
    # Conversion to an integer rounds toward zero. A coordinate is at most the norm, so it fits.
    if factor > 1e30:
        return (vector.astype(np.float64) * factor).astype(np.int32)
    return np.multiply(vector, np.float32(factor)).astype(np.int32)


def _squared_norm(units: npt.NDArray[np.int32]) -> int:
    wide = units.astype(np.float64)
    # Sums of squares below 2^53 are exact in float64, in any order; anything above is over every bound.
    return int(np.square(wide, out=wide).sum())
