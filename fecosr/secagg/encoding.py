"""Fixed point: a bounded real vector becomes ring elements whose sum modulo 2^ring_bits cannot overflow."""

import math
from dataclasses import dataclass, field
from itertools import accumulate
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
        validation_weight: sum of the weights of those who measured a validation metric.
        validation: sum of their weight * metric.
    """

    update_sum: npt.NDArray[np.float32] = field(repr=False)
    weight: float
    loss: float
    validation_weight: float = 0.0
    validation: float = 0.0

    @property
    def mean_validation(self) -> float | None:
        """Return the weighted mean of the validation metric; None when nobody measured it."""
        # Rounding can carry a perfect mean over 1.
        return min(1.0, self.validation / self.validation_weight) if self.validation_weight else None


@dataclass(frozen=True, slots=True)
class UpdateEncoding:
    """Fix how an update, its weight and its loss become ring elements, and a sum of such vectors reals.

    Each real x becomes floor(x * scale + u) with u uniform in [0, 1): unbiased (up to 2^-32 of one unit) and
    off by at most one unit of 1 / scale. Scales are powers of two, so that scaling itself is exact.

    In the rings of 24 and 16 bits the update is first rotated (`rotation.py`), and what exceeds the bound
    on a rotated coordinate, which happens with chance 2^-40, is cut to it. Weight, loss and validation metric
    keep the scales of the 32-bit ring: each is cut into digits of so few bits that the digits of all summands
    add up within the ring, one slot each, lowest first.

    Attributes:
        num_parameters: P, the length of an update.
        clip_norm: L2 bound on every update.
        num_summands: the most vectors that may ever be added.
        max_loss: a larger loss is reported as this.
        ring_bits: 32, 24 or 16; the bytes per element that travel are an eighth of it.
        rotation_seed: 32 public bytes that do not depend on any update, such as the round's context.
        with_validation: whether a validation metric in 0 .. 1 travels behind the loss, its weight before it.

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
    with_validation: bool = False
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
        """Return the number of ring elements: parameters, digits of the reals after them, and the count."""
        return self.num_parameters + sum(self._digit_counts) + 1

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
    def _digit_counts(self) -> tuple[int, ...]:
        """Return over how many slots each real after the update is spread, in order.

        Weight and weighted loss; with validation its weight and its weighted value, neither above 1.
        """
        always = (self.num_weight_digits, self.num_loss_digits)
        return always + (self.num_weight_digits,) * 2 * self.with_validation

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
        self,
        update: npt.NDArray[np.float32],
        weight: float,
        loss: float,
        rounding_seed: bytes,
        validation: float | None = None,
    ) -> npt.NDArray[np.uint32]:
        """Return the ring vector of one client, uint32 [length].

        Args:
            update: float32 [P], clipped; it is multiplied by `weight` here.
            weight: in (0, 1].
            loss: the local training loss, not negative.
            rounding_seed: 32 uniform bytes for the rounding, used once.
            validation: the validation metric, in 0 .. 1, weighted like the update; None when this client
                measured none, which gives it weight 0 there.

        Raises:
            MisuseError: an argument is not as described, a value is not finite, or the update's norm is above
                clip_norm (1 + 1e-6).
        """
        prepared = self.prepare(update, weight, loss, rounding_seed, validation)
        vector = np.empty(self.length, dtype=np.uint32)  # [length]
        for start in range(0, self.length, BLOCK_ELEMENTS):
            prepared.write(start, vector[start : start + BLOCK_ELEMENTS])
        return vector

    def prepare(
        self,
        update: npt.NDArray[np.float32],
        weight: float,
        loss: float,
        rounding_seed: bytes,
        validation: float | None = None,
        *,
        shrink: float = 1.0,
        norm: float | None = None,
    ) -> PreparedUpdate:
        """Return what writes the vector of `encode` piece by piece, so that it need not exist as a whole.

        Arguments and refusals are those of `encode`; `update` is kept, not copied, and must not change. It
        is multiplied by `shrink`, in (0, 1], before anything else, so that no clipped copy need exist either.
        `norm` is its L2 norm, of a caller that took it to find `shrink`; otherwise it is taken here.
        """
        self._check(update, shrink, weight, loss, validation)
        self._check_norm(_l2_norm(update) if norm is None else norm, shrink)
        rounding_key = derive_key(rounding_seed, Label.ROUNDING)
        extras = self._extras(weight, loss, validation, rounding_key)
        if self.rotated:
            return PreparedUpdate(
                self._spread(update, shrink), weight * self.update_scale, extras, rounding_key
            )
        return PreparedUpdate(update, shrink * weight * self.update_scale, extras, rounding_key)

    def decode(self, total: npt.NDArray[np.uint32], num_survivors: int) -> DecodedSum:
        """Return what the sum of `num_survivors` encodings says.

        Raises:
            MisuseError: `total` is no vector of this encoding, or there are more survivors than summands.
            CryptoError: the count is not `num_survivors`, or weight, loss or validation metric are
                impossible: the masks did not cancel or a client did not encode what the protocol says.
        """
        if total.dtype != np.uint32 or total.shape != (self.length,):
            raise MisuseError("the sum is no vector of this encoding")
        if not 1 <= num_survivors <= self.num_summands:
            raise MisuseError("the number of survivors is outside what this encoding has room for")
        *digits, count = (int(slot) % (1 << self.ring_bits) for slot in total[self.num_parameters :])
        weight, loss, *measured = self._values(digits)
        if count != num_survivors:
            raise CryptoError("the count in the sum is not the number of survivors")
        # Rounding can carry each summand one unit past its bound.
        if not 0 < weight <= num_survivors * (self.weight_scale + 1):
            raise CryptoError("the weight in the sum is impossible")
        if not 0 <= loss <= num_survivors * (self.max_loss * self.loss_scale + 1):
            raise CryptoError("the loss in the sum is impossible")
        validation_weight, validation = measured or (0, 0)
        if not (0 <= validation <= validation_weight + num_survivors <= weight + 2 * num_survivors):
            raise CryptoError("the validation metric in the sum is impossible")
        return DecodedSum(
            self._decoded_update(total[: self.num_parameters]),
            weight=weight / self.weight_scale,
            loss=loss / self.loss_scale,
            validation_weight=validation_weight / self.weight_scale,
            validation=validation / self.weight_scale,
        )

    def _decoded_update(self, total: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
        update_sum = np.empty(self.num_parameters, dtype=np.float32)  # [P]
        # Shifted to the top of 32 bits, the elements of a smaller ring carry their sign where int32 has it.
        unused_bits = FULL_BITS - self.ring_bits
        unit = 1.0 / (self.update_scale * (1 << unused_bits))
        for start in range(0, self.num_parameters, BLOCK_ELEMENTS):
            block = total[start : start + BLOCK_ELEMENTS]
            shifted = np.left_shift(block, np.uint32(unused_bits)) if unused_bits else block
            signed = shifted.view(np.int32)
            np.multiply(signed, unit, out=update_sum[start : start + block.size], casting="same_kind")
        if self.rotated:
            rotate_back(update_sum, self.rotation_seed)
        return update_sum

    def _spread(self, update: npt.NDArray[np.float32], shrink: float) -> npt.NDArray[np.float32]:
        """Return the shrunken update rotated, every coordinate cut to its bound."""
        spread = update * np.float32(shrink)  # [P]
        rotate(spread, self.rotation_seed)
        limit = np.float32(self.update_bound)
        if limit > self.update_bound:
            limit = np.nextafter(limit, np.float32(0))
        return np.clip(spread, -limit, limit, out=spread)

    def _extras(
        self, weight: float, loss: float, validation: float | None, rounding_key: bytes
    ) -> npt.NDArray[np.uint32]:
        """Return the slots after the update: digits of its reals, and the count.

        The reals are rounded with the elements of the keystream that follow the update's.
        """
        reals = [weight * self.weight_scale, weight * min(loss, self.max_loss) * self.loss_scale]
        if self.with_validation:
            measured_weight = 0.0 if validation is None else weight * self.weight_scale
            reals += [measured_weight, measured_weight * (validation or 0.0)]
        values = np.array(reals)
        before = self.num_parameters % ALIGNMENT
        bits = np.empty(before + len(values), dtype="<u4")
        Keystream(rounding_key, self.num_parameters - before).fill(bits)
        round_into(bits[before:], values, 1.0, make_scratch(len(values)))
        digits = [
            digit
            for value, num_digits in zip(bits[before:], self._digit_counts, strict=True)
            for digit in self._digits(int(value), num_digits)
        ]
        return np.array([*digits, 1], dtype=np.uint32)

    def _digits(self, value: int, num_digits: int) -> list[int]:
        mask = (1 << self.digit_bits) - 1
        return [value >> (place * self.digit_bits) & mask for place in range(num_digits)]

    def _values(self, digits: list[int]) -> list[int]:
        """Return the numbers that sums of digits stand for; they are plain sums, so carries need no care."""
        starts = accumulate(self._digit_counts, initial=0)
        return [
            sum(digit << (place * self.digit_bits) for place, digit in enumerate(digits[start : start + num]))
            for start, num in zip(starts, self._digit_counts, strict=False)
        ]

    def _check(
        self,
        update: npt.NDArray[np.float32],
        shrink: float,
        weight: float,
        loss: float,
        validation: float | None,
    ) -> None:
        if update.dtype != np.float32 or update.shape != (self.num_parameters,):
            raise MisuseError(f"an update is float32 [{self.num_parameters}]")
        if not 0 < shrink <= 1:
            raise MisuseError("an update can only be shrunk")
        if not 0 < weight <= 1:
            raise MisuseError("a weight must be in (0, 1]")
        if not 0 <= loss < math.inf:
            raise MisuseError("a loss must be finite and not negative")
        if validation is not None and not (self.with_validation and 0 <= validation <= 1):
            raise MisuseError("a validation metric must be in 0 .. 1, and have a place in the encoding")

    def _check_norm(self, norm: float, shrink: float) -> None:
        if not math.isfinite(norm):
            raise MisuseError("an update must be finite")
        if norm * shrink > self._norm_bound:
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
