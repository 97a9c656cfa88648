"""Fixed point: a bounded real vector becomes ring elements whose sum modulo 2^ring_bits cannot overflow."""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.crypto.key_agreement import derive_key
from fecosr.crypto.labels import Label
from fecosr.crypto.prg import ALIGNMENT, BLOCK_ELEMENTS, Keystream
from fecosr.errors import CryptoError, MisuseError
from fecosr.secagg.packing import FULL_BITS, check_ring
from fecosr.secagg.rotation import coordinate_bound, rotate, rotate_back
from fecosr.secagg.rounding import PreparedUpdate, make_scratch, round_into

NORM_SLACK: Final = 1e-6
"""How far, relatively, float32 rounding may carry a clipped norm over clip_norm."""
_SEED_BYTES: Final = 32


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
    """Fix how an update, its weight and its loss become ring elements, and a sum of such vectors reals.

    Each real x becomes floor(x * scale + u) with u uniform in [0, 1): unbiased (up to 2^-32 of one unit) and
    off by at most one unit of 1 / scale. Scales are powers of two, so that scaling itself is exact.

    In the rings of 24 and 16 bits the update is first rotated (`rotation.py`), and what exceeds the bound
    on a rotated coordinate, which happens with chance 2^-40, is cut to it. Weight and loss keep the scales of
    the 32-bit ring: each is cut into digits of so few bits that the digits of all summands add up within the
    ring, one slot each, lowest first.

    Attributes:
        num_parameters: P, the length of an update.
        clip_norm: L2 bound on every update.
        num_summands: the most vectors that may ever be added.
        max_loss: a larger loss is reported as this.
        ring_bits: 32, 24 or 16; the bytes per element that travel are an eighth of it.
        rotation_seed: 32 public bytes that do not depend on any update, such as the round's context.

    Raises:
        MisuseError: a value is out of range, or there is no scale at which the sum could not overflow.

    Guarantees:
        Overflow: num_summands * (bound * scale + 1) < 2^(ring_bits - 1) in every slot of the update, bound
        being clip_norm (1 + 1e-6) or, rotated, `coordinate_bound` of it; it cannot happen, because every
        coordinate is cut to the bound. num_summands * (2^digit_bits - 1) < 2^ring_bits in the slots after it.
        Error: each decoded sum is within num_survivors / scale of the real one, before rounding to float32.
        Rotated, this holds of the rotated sum: so the whole decoded update is within sqrt(P) *
        num_survivors / scale in L2 norm, and each parameter is off by a standard deviation of at most
        sqrt(num_survivors) / (2 scale), unless a coordinate was cut.
    """

    num_parameters: int
    clip_norm: float
    num_summands: int
    max_loss: float
    ring_bits: int = FULL_BITS
    rotation_seed: bytes = bytes(_SEED_BYTES)
    update_scale: float = field(init=False)
    weight_scale: float = field(init=False)
    loss_scale: float = field(init=False)

    def __post_init__(self) -> None:
        check_ring(self.ring_bits)
        if self.num_parameters < 1 or self.num_summands < 1:
            raise MisuseError("an encoding needs at least one parameter and one summand")
        if not all(0 < bound < math.inf for bound in (self.clip_norm, self.max_loss)):
            raise MisuseError("clip_norm and max_loss must be positive and finite")
        if len(self.rotation_seed) != _SEED_BYTES:
            raise MisuseError(f"a rotation seed is {_SEED_BYTES} bytes")
        object.__setattr__(self, "update_scale", self._scale(self.update_bound, self.ring_bits))
        object.__setattr__(self, "weight_scale", self._scale(1.0, FULL_BITS))
        object.__setattr__(self, "loss_scale", self._scale(self.max_loss, FULL_BITS))

    @property
    def length(self) -> int:
        """Return the number of ring elements: parameters, digits of weight and loss, and the count."""
        return self.num_parameters + self.num_weight_digits + self.num_loss_digits + 1

    @property
    def rotated(self) -> bool:
        """Return whether updates are rotated before they are rounded."""
        return self.ring_bits < FULL_BITS

    @property
    def update_bound(self) -> float:
        """Return what no coordinate of an update exceeds when it is rounded."""
        return coordinate_bound(self._norm_bound, self.num_parameters) if self.rotated else self._norm_bound

    @property
    def digit_bits(self) -> int:
        """Return how many bits the slots after the update have room for in every summand."""
        return (((1 << self.ring_bits) - 1) // self.num_summands + 1).bit_length() - 1

    @property
    def num_weight_digits(self) -> int:
        """Return over how many slots the weight is spread."""
        return self._num_digits(self.weight_scale)

    @property
    def num_loss_digits(self) -> int:
        """Return over how many slots the weighted loss is spread."""
        return self._num_digits(self.max_loss * self.loss_scale)

    @property
    def _norm_bound(self) -> float:
        return self.clip_norm * (1 + NORM_SLACK)

    def _num_digits(self, largest: float) -> int:
        # Rounding can carry a value one unit past its bound.
        return -(-(math.floor(largest) + 1).bit_length() // self.digit_bits)

    def _scale(self, bound: float, ring_bits: int) -> float:
        """Return the largest power of two at which `num_summands` values within `bound` cannot overflow."""
        capacity = 1 << (ring_bits - 1)
        room = (capacity - 1) // self.num_summands - 1
        if room < 1:
            raise MisuseError("too many summands: the sum could overflow")
        scale = math.ldexp(1.0, math.frexp(room / bound)[1] - 1)
        if not self.num_summands * (bound * scale + 1) < capacity:
            raise MisuseError("the sum could overflow")
        return scale

    def encode(
        self, update: npt.NDArray[np.float32], weight: float, loss: float, rounding_seed: bytes
    ) -> npt.NDArray[np.uint32]:
        """Return the ring vector of one client, uint32 [length].

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
        vector = np.empty(self.length, dtype=np.uint32)  # [length]
        for start in range(0, self.length, BLOCK_ELEMENTS):
            prepared.write(start, vector[start : start + BLOCK_ELEMENTS])
        return vector

    def prepare(
        self, update: npt.NDArray[np.float32], weight: float, loss: float, rounding_seed: bytes
    ) -> PreparedUpdate:
        """Return what writes the vector of `encode` piece by piece, so that it need not exist as a whole.

        Arguments and refusals are those of `encode`; `update` is kept, not copied, and must not change.
        """
        self._check(update, weight, loss)
        rounding_key = derive_key(rounding_seed, Label.ROUNDING)
        extras = self._extras(weight, loss, rounding_key)
        spread = self._spread(update) if self.rotated else update
        return PreparedUpdate(spread, weight * self.update_scale, extras, rounding_key)

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
        *digits, count = (int(slot) % (1 << self.ring_bits) for slot in total[self.num_parameters :])
        weight = self._value(digits[: self.num_weight_digits])
        loss = self._value(digits[self.num_weight_digits :])
        if count != num_survivors:
            raise CryptoError("the count in the sum is not the number of survivors")
        # Rounding can carry each summand one unit past its bound.
        if not 0 < weight <= num_survivors * (self.weight_scale + 1):
            raise CryptoError("the weight in the sum is impossible")
        if not 0 <= loss <= num_survivors * (self.max_loss * self.loss_scale + 1):
            raise CryptoError("the loss in the sum is impossible")
        update_sum = self._decoded_update(total[: self.num_parameters])
        return DecodedSum(update_sum, weight / self.weight_scale, loss / self.loss_scale)

    def _decoded_update(self, total: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
        update_sum = np.empty(self.num_parameters, dtype=np.float32)  # [P]
        # Shifted to the top of 32 bits, the elements of a smaller ring carry their sign where int32 has it.
        unused_bits = FULL_BITS - self.ring_bits
        unit = 1.0 / (self.update_scale * (1 << unused_bits))
        for start in range(0, self.num_parameters, BLOCK_ELEMENTS):
            block = total[start : start + BLOCK_ELEMENTS]
            signed = np.left_shift(block, np.uint32(unused_bits)).view(np.int32)
            np.multiply(signed, unit, out=update_sum[start : start + block.size], casting="same_kind")
        if self.rotated:
            rotate_back(update_sum, self.rotation_seed)
        return update_sum

    def _spread(self, update: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the update rotated, every coordinate cut to its bound."""
        spread = update.copy()  # [P]
        rotate(spread, self.rotation_seed)
        limit = np.float32(self.update_bound)
        if limit > self.update_bound:
            limit = np.nextafter(limit, np.float32(0))
        return np.clip(spread, -limit, limit, out=spread)

    def _extras(self, weight: float, loss: float, rounding_key: bytes) -> npt.NDArray[np.uint32]:
        """Return the slots after the update: digits of weight and loss, and the count.

        Weight and loss are rounded with the two elements of the keystream that follow the update's.
        """
        values = np.array([weight * self.weight_scale, weight * min(loss, self.max_loss) * self.loss_scale])
        before = self.num_parameters % ALIGNMENT
        bits = np.empty(before + len(values), dtype="<u4")
        Keystream(rounding_key, self.num_parameters - before).fill(bits)
        round_into(bits[before:], values, 1.0, make_scratch(len(values)))
        rounded_weight, rounded_loss = (int(value) for value in bits[before:])
        digits = self._digits(rounded_weight, self.num_weight_digits)
        digits += self._digits(rounded_loss, self.num_loss_digits)
        return np.array([*digits, 1], dtype=np.uint32)

    def _digits(self, value: int, num_digits: int) -> list[int]:
        mask = (1 << self.digit_bits) - 1
        return [value >> (place * self.digit_bits) & mask for place in range(num_digits)]

    def _value(self, digits: list[int]) -> int:
        """Return the number that sums of digits stand for; they are plain sums, so carries need no care."""
        return sum(digit << (place * self.digit_bits) for place, digit in enumerate(digits))

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


def _l2_norm(update: npt.NDArray[np.float32]) -> float:
    """Return the norm, accumulated in float64 where no float32 square overflows."""
    total = 0.0
    scratch = np.empty(min(update.size, BLOCK_ELEMENTS))
    for start in range(0, update.size, BLOCK_ELEMENTS):
        part = update[start : start + BLOCK_ELEMENTS]
        squares = scratch[: part.size]
        np.copyto(squares, part)
        # Not a dot product: BLAS would wake threads up for every chunk, which costs more than the sum.
        total += float(np.square(squares, out=squares).sum())
    return math.sqrt(total)
