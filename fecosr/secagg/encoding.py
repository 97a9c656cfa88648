"""Fixed point: a bounded real vector becomes ring elements whose sum modulo 2^32 cannot overflow."""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.crypto.key_agreement import derive_key
from fecosr.crypto.labels import Label
from fecosr.crypto.prg import ALIGNMENT, BLOCK_ELEMENTS, Keystream
from fecosr.errors import CryptoError, MisuseError

NUM_EXTRA_SLOTS: Final = 3
"""After the update: weight, weighted loss, count."""
NORM_SLACK: Final = 1e-6
"""How far, relatively, float32 rounding may carry a clipped norm over clip_norm."""
_CAPACITY: Final = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class DecodedSum:
    """Hold what a sum over the survivors says.

    Attributes:
        update_sum: sum of weight * update, float32 [P].
        weight: sum of the weights.
        loss: sum of weight * loss; divide by `weight` for the mean.
    """

    update_sum: npt.NDArray[np.float32] = field(repr=False)
    weight: float
    loss: float


@dataclass(frozen=True, slots=True)
class UpdateEncoding:
    """Fix how an update, its weight and its loss become uint32 [P + 3], and a sum of such vectors reals.

    Each real x becomes floor(x * scale + u) with u uniform in [0, 1): unbiased (up to 2^-32 of one unit) and
    off by at most one unit of 1 / scale. Scales are powers of two, so that scaling itself is exact.

    Attributes:
        num_parameters: P, the length of an update.
        clip_norm: L2 bound on every update.
        num_summands: the most vectors that may ever be added.
        max_loss: a larger loss is reported as this.

    Raises:
        MisuseError: a value is out of range, or there is no scale at which the sum could not overflow.

    Guarantees:
        Overflow: num_summands * (bound * scale + 1) < 2^31 in every slot, bound being clip_norm (1 + 1e-6), 1
        and max_loss, so the sum of num_summands encodings, read as signed, is exact.
        Error: each decoded sum is within num_survivors / scale of the real one, before rounding to float32.
    """

    num_parameters: int
    clip_norm: float
    num_summands: int
    max_loss: float
    update_scale: float = field(init=False)
    weight_scale: float = field(init=False)
    loss_scale: float = field(init=False)

    def __post_init__(self) -> None:
        if self.num_parameters < 1 or self.num_summands < 1:
            raise MisuseError("an encoding needs at least one parameter and one summand")
        if not all(0 < bound < math.inf for bound in (self.clip_norm, self.max_loss)):
            raise MisuseError("clip_norm and max_loss must be positive and finite")
        object.__setattr__(self, "update_scale", self._scale(self._norm_bound))
        object.__setattr__(self, "weight_scale", self._scale(1.0))
        object.__setattr__(self, "loss_scale", self._scale(self.max_loss))

    @property
    def length(self) -> int:
        """Return the number of ring elements."""
        return self.num_parameters + NUM_EXTRA_SLOTS

    @property
    def _norm_bound(self) -> float:
        return self.clip_norm * (1 + NORM_SLACK)

    def _scale(self, bound: float) -> float:
        """Return the largest power of two at which `num_summands` values within `bound` cannot overflow."""
        room = (_CAPACITY - 1) // self.num_summands - 1
        if room < 1:
            raise MisuseError("too many summands: the sum could overflow")
        scale = math.ldexp(1.0, math.frexp(room / bound)[1] - 1)
        if not self.num_summands * (bound * scale + 1) < _CAPACITY:
            raise MisuseError("the sum could overflow")
        return scale

    def encode(
        self, update: npt.NDArray[np.float32], weight: float, loss: float, rounding_seed: bytes
    ) -> npt.NDArray[np.uint32]:
        """Return the ring vector of one client, uint32 [P + 3].

        Args:
            update: float32 [P], clipped; it is multiplied by `weight` here.
            weight: in (0, 1].
            loss: the local training loss, not negative.
            rounding_seed: 32 uniform bytes for the rounding, used once.

        Raises:
            MisuseError: an argument is not as described, a value is not finite, or the update's norm is above
                clip_norm (1 + 1e-6).
        """
        prepared = self.prepare(update, weight, loss, rounding_seed)
        vector = np.empty(self.length, dtype=np.uint32)  # [P + 3]
        for start in range(0, self.length, BLOCK_ELEMENTS):
            prepared.write(start, vector[start : start + BLOCK_ELEMENTS])
        return vector

    def prepare(
        self, update: npt.NDArray[np.float32], weight: float, loss: float, rounding_seed: bytes
    ) -> "PreparedUpdate":
        """Return what writes the vector of `encode` piece by piece, so that it need not exist as a whole.

        Arguments and refusals are those of `encode`; `update` is kept, not copied, and must not change.
        """
        self._check(update, weight, loss)
        rounding_key = derive_key(rounding_seed, Label.ROUNDING)
        extras = self._extras(weight, loss, rounding_key)
        return PreparedUpdate(update, weight * self.update_scale, extras, rounding_key)

    def decode(self, total: npt.NDArray[np.uint32], num_survivors: int) -> DecodedSum:
        """Return what the sum of `num_survivors` encodings says.

        Raises:
            MisuseError: `total` is no vector of this encoding, or there are more survivors than summands.
            CryptoError: the count is not `num_survivors`, or weight or loss are impossible: the masks did not
                cancel or a client did not encode what the protocol says.
        """
        if total.dtype != np.uint32 or total.shape != (self.length,):
            raise MisuseError("the sum is no vector of this encoding")
        if not 1 <= num_survivors <= self.num_summands:
            raise MisuseError("the number of survivors is outside what this encoding has room for")
        signed = total.view(np.int32)
        weight, loss, count = (int(slot) for slot in signed[self.num_parameters :])
        if count != num_survivors:
            raise CryptoError("the count in the sum is not the number of survivors")
        # Rounding can carry each summand one unit past its bound.
        if not 0 < weight <= num_survivors * (self.weight_scale + 1):
            raise CryptoError("the weight in the sum is impossible")
        if not 0 <= loss <= num_survivors * (self.max_loss * self.loss_scale + 1):
            raise CryptoError("the loss in the sum is impossible")
        update_sum = np.empty(self.num_parameters, dtype=np.float32)  # [P]
        np.multiply(
            signed[: self.num_parameters], 1.0 / self.update_scale, out=update_sum, casting="same_kind"
        )
        return DecodedSum(update_sum, weight / self.weight_scale, loss / self.loss_scale)

    def _extras(self, weight: float, loss: float, rounding_key: bytes) -> npt.NDArray[np.uint32]:
        """Return the slots after the update, rounded with the keystream's elements at their own places."""
        values = np.array([weight * self.weight_scale, weight * min(loss, self.max_loss) * self.loss_scale])
        before = self.num_parameters % ALIGNMENT
        bits = np.empty(before + len(values), dtype="<u4")
        Keystream(rounding_key, self.num_parameters - before).fill(bits)
        _round_into(bits[before:], values, 1.0)
        return np.array([*bits[before:], 1], dtype=np.uint32)

    def _check(self, update: npt.NDArray[np.float32], weight: float, loss: float) -> None:
        if update.dtype != np.float32 or update.shape != (self.num_parameters,):
            raise MisuseError(f"an update is float32 [{self.num_parameters}]")
        if not 0 < weight <= 1:
            raise MisuseError("a weight must be in (0, 1]")
        if not 0 <= loss < math.inf:
            raise MisuseError("a loss must be finite and not negative")
        norm = _l2_norm(update)
        if not math.isfinite(norm):
            raise MisuseError("an update must be finite")
        if norm > self._norm_bound:
            raise MisuseError("the update was not clipped")


@dataclass(frozen=True, slots=True, eq=False)
class PreparedUpdate:
    """Hold one client's update, checked, and write it as ring elements where and when they are needed.

    Attributes:
        update: float32 [P], not yet multiplied by its weight.
        factor: weight times scale.
        extras: the slots after the update, already ring elements.
        rounding_key: seed of the keystream that rounds.
    """

    update: npt.NDArray[np.float32] = field(repr=False)
    factor: float = field(repr=False)
    extras: npt.NDArray[np.uint32] = field(repr=False)
    rounding_key: bytes = field(repr=False)

    @property
    def length(self) -> int:
        """Return the number of ring elements."""
        return len(self.update) + len(self.extras)

    def write(self, start: int, block: npt.NDArray[np.uint32]) -> None:
        """Overwrite `block` with the elements from `start` on.

        Args:
            start: a multiple of BLOCK_ELEMENTS.
            block: uint32 [at most BLOCK_ELEMENTS].
        """
        part = self.update[start : start + block.size]
        Keystream(self.rounding_key, start).fill(block[: part.size])
        _round_into(block[: part.size], part, self.factor)
        if part.size < block.size:
            first = start + part.size - len(self.update)
            block[part.size :] = self.extras[first : first + block.size - part.size]


def _round_into(bits: npt.NDArray[np.uint32], values: npt.NDArray[np.floating], factor: float) -> None:
    """Replace uniform `bits` by the stochastically rounded `values * factor`, in two's complement."""
    rounded = values.astype(np.float64)
    rounded *= factor
    fractions = bits.astype(np.float64)
    fractions *= 2.0**-32
    rounded += fractions
    np.floor(rounded, out=rounded)
    bits.view(np.int32)[:] = rounded


def _l2_norm(update: npt.NDArray[np.float32]) -> float:
    """Return the norm, accumulated in float64 where no float32 square overflows."""
    total = 0.0
    for start in range(0, len(update), BLOCK_ELEMENTS):
        part = update[start : start + BLOCK_ELEMENTS].astype(np.float64)
        # Not a dot product: BLAS would wake threads up for every chunk, which costs more than the sum.
        total += float(np.square(part, out=part).sum())
    return math.sqrt(total)
