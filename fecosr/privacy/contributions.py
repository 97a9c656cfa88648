"""Per-user vectors become integers of bounded norm, their noisy sum ring elements, and that sum reals."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.errors import MisuseError
from fecosr.privacy.clipping import l2_norm
from fecosr.privacy.discrete_gaussian import BLOCK_DRAWS, NoiseStream
from fecosr.privacy.integer_mechanism import IntegerMechanism

_SHRINK: Final = 1.0 - 2.0**-20
"""Applied as often as rounding carries a norm over the bound, which is hardly ever once."""
_SAFE_SQUARES: Final = (1e-30, 1e30)
"""Between these a sum of float32 squares neither vanishes nor overflows."""
_SAFE_FACTORS: Final = (1e-30, 1e30)
"""Outside of these float32 cannot hold the factor."""

FloatVector = npt.NDArray[np.float32]
IntegerVector = npt.NDArray[np.int64]


class UserSum:
    """Add up what the users of one node contribute, each clipped and rounded toward zero, in whole units.

    Args:
        mechanism: clip_norm and unit.

    Guarantees:
        Sensitivity: the L2 norm of what one call of `add` adds is at most clip_units, exactly; it is computed
        from integers. Memory for it is kept, because new memory would cost more than the arithmetic.
    """

    def __init__(self, mechanism: IntegerMechanism) -> None:
        self._mechanism = mechanism
        # Integers below 2^53 are exact in float64, and so are their sums, in any order.
        self._total = np.zeros(mechanism.num_parameters)
        self._values = np.empty(mechanism.num_parameters, np.float32)
        self._scaled = np.empty(mechanism.num_parameters, np.float32)
        self._units = np.empty(mechanism.num_parameters)

    def add(self, parts: Sequence[FloatVector], rows: npt.NDArray[np.int64] | None = None) -> None:
        """Add one user.

        Args:
            parts: of the contribution, float32, together of at most P values. If one is not finite they count
                as zero: that must neither spoil the sum nor, by an error, tell that a certain user took part.
            rows: where the values of the last part belong, each place once; those before belong to the first
                places of the sum. None if there are P values.

        Raises:
            MisuseError: the parts are not as described.
        """
        num_places, num_values = self._mechanism.num_parameters, sum(part.size for part in parts)
        num_dense = num_values - (0 if rows is None else parts[-1].size)
        if any(part.dtype != np.float32 or part.ndim != 1 for part in parts) or num_values > num_places:
            raise MisuseError(f"a contribution is float32 of at most {num_places} values")
        if rows is None and num_values != num_places:
            raise MisuseError(f"a contribution without rows is float32 [{num_places}]")
        units = self._clipped(np.concatenate(parts, out=self._values[:num_values]))
        self._total[:num_dense] += units[:num_dense]
        if rows is not None:
            self._total[rows] += units[num_dense:]

    def total(self) -> IntegerVector:
        """Return the sum over the users so far, int64 [P]; it is as sensitive as they are."""
        return self._total.astype(np.int64)

    def _clipped(self, contribution: FloatVector) -> npt.NDArray[np.float64]:
        """Return a contribution in whole units; the memory is overwritten by the next call."""
        units = self._units[: len(contribution)]
        norm = self._norm(contribution)
        if not 0.0 < norm < math.inf:
            units.fill(0.0)
            return units
        clip_units = self._mechanism.clip_units
        factor = clip_units * min(1.0 / norm, 1.0 / self._mechanism.clip_norm)
        self._scale(contribution, factor, units)
        # Not a dot product of BLAS, which would wake threads up for every user.
        while np.einsum("i,i->", units, units) > clip_units**2:
            factor *= _SHRINK
            self._scale(contribution, factor, units)
        return units

    def _norm(self, contribution: FloatVector) -> float:
        # A pairwise float32 sum is right to six digits, and what it misses is seen in integers.
        scratch = self._scaled[: len(contribution)]
        with np.errstate(over="ignore", invalid="ignore"):
            squares = float(np.square(contribution, out=scratch).sum())
        lowest, highest = _SAFE_SQUARES
        return math.sqrt(squares) if lowest < squares < highest else l2_norm(contribution)

    def _scale(self, contribution: FloatVector, factor: float, units: npt.NDArray[np.float64]) -> None:
        if _SAFE_FACTORS[0] < factor < _SAFE_FACTORS[1]:
            scratch = self._scaled[: len(contribution)]
            np.multiply(contribution, np.float32(factor), out=scratch)
            np.trunc(scratch, out=units, casting="same_kind")
        else:
            np.multiply(contribution, factor, out=units, dtype=np.float64)
            np.trunc(units, out=units)


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
    return to_reals(total.view(np.int32), mechanism)


def to_reals(noisy: npt.NDArray[np.signedinteger], mechanism: IntegerMechanism) -> FloatVector:
    """Return the reals that whole units stand for, float32 [P]."""
    return (noisy * mechanism.unit).astype(np.float32)
