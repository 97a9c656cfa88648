"""The encoding of an update and the decoding of a sum in exact arithmetic, one number at a time."""

import math
from fractions import Fraction

from tests.reference.fixed_point import rotated, rounding_bits
from tests.reference.protocol import Json, require

_LARGEST_BLOCK = 1 << 16


class Layout:
    """Derive scales and slots from what an encoding is fixed by."""

    def __init__(self, case: Json) -> None:
        self.num_parameters: int = case["num_parameters"]
        self.num_summands: int = case["num_summands"]
        self.ring_bits: int = case["ring_bits"]
        self.max_loss = float.fromhex(case["max_loss"])
        self.norm_bound = float.fromhex(case["clip_norm"]) * (1 + 1e-6)
        self.bound = self.norm_bound if self.ring_bits == 32 else self._rotated_bound()
        self.update_scale = self._scale(self.bound, self.ring_bits)
        self.weight_scale = self._scale(1.0, 32)
        self.loss_scale = self._scale(self.max_loss, 32)
        self.digit_bits = 0
        while self.num_summands * (2 ** (self.digit_bits + 1) - 1) < 2**self.ring_bits:
            self.digit_bits += 1
        self.weight_digits = self._num_digits(self.weight_scale)
        self.loss_digits = self._num_digits(self.max_loss * self.loss_scale)
        self.with_validation: bool = case["with_validation"]

    def _rotated_bound(self) -> float:
        block = 1
        while 2 * block <= min(self.num_parameters, _LARGEST_BLOCK):
            block *= 2
        return self.norm_bound * min(1.0, math.sqrt(2 * math.log(4 * block * 2.0**40) / block))

    def _scale(self, bound: float, ring_bits: int) -> Fraction:
        """Return the largest power of two at which the sum of all summands stays below half of the ring."""
        capacity = 2 ** (ring_bits - 1)
        room = (capacity - 1) // self.num_summands - 1
        require(room >= 1, "overflow")
        scale = Fraction(2) ** 40
        while scale * Fraction(bound) > room:
            scale /= 2
        return scale

    def _num_digits(self, largest: float | Fraction) -> int:
        values = math.floor(largest) + 2
        return next(n for n in range(1, 64) if 2 ** (n * self.digit_bits) >= values)

    def digits(self, value: int, count: int) -> list[int]:
        """Return a number's digits, lowest first."""
        return [value // 2 ** (place * self.digit_bits) % 2**self.digit_bits for place in range(count)]

    def number(self, digits: list[int]) -> int:
        """Return the number that sums of digits stand for."""
        return sum(digit * 2 ** (place * self.digit_bits) for place, digit in enumerate(digits))


def check_encoding(case: Json) -> None:
    """Refuse unless the elements are the encoding, up to the tolerance the case states for rotated ones."""
    layout = Layout(case)
    update = [float.fromhex(value) for value in case["update"]]
    weight, loss = float.fromhex(case["weight"]), float.fromhex(case["loss"])
    require(math.sqrt(math.fsum(value * value for value in update)) <= layout.norm_bound, "not clipped")
    if layout.ring_bits < 32:
        spread = rotated(update, bytes.fromhex(case["rotation_seed"]), _LARGEST_BLOCK)
        update = [min(max(value, -layout.bound), layout.bound) for value in spread]
    reals = [Fraction(weight) * Fraction(value) * layout.update_scale for value in update]
    reals.append(Fraction(weight) * layout.weight_scale)
    reals.append(Fraction(weight) * Fraction(min(loss, layout.max_loss)) * layout.loss_scale)
    counts = [layout.weight_digits, layout.loss_digits]
    if layout.with_validation:
        metric = None if case["validation"] is None else Fraction(float.fromhex(case["validation"]))
        scaled = Fraction(weight) * layout.weight_scale
        reals += [Fraction(0), Fraction(0)] if metric is None else [scaled, scaled * metric]
        counts += [layout.weight_digits] * 2
    bits = rounding_bits(bytes.fromhex(case["rounding_seed"]), len(reals))
    elements = [
        math.floor(real + Fraction(bit, 2**32)) % 2**32 for real, bit in zip(reals, bits, strict=True)
    ]
    expected = elements[: len(update)]
    for value, num_digits in zip(elements[len(update) :], counts, strict=True):
        expected += layout.digits(value, num_digits)
    expected.append(1)
    ring = 2**layout.ring_bits
    require(len(expected) == len(case["elements"]), "another length")
    for mine, stated in zip(expected, case["elements"], strict=True):
        distance = (mine - stated) % ring
        require(min(distance, ring - distance) <= case["tolerance"], "another value")


def check_sum(case: Json) -> None:
    """Refuse a sum of the 32-bit ring that is impossible, or says something else than the case."""
    layout = Layout(case)
    total, survivors = case["total"], case["survivors"]
    *digits, count = total[layout.num_parameters :]
    weight = layout.number(_taken(digits, layout.weight_digits))
    loss = layout.number(_taken(digits, layout.loss_digits))
    require(count == survivors, "wrong count")
    require(0 < weight <= survivors * (layout.weight_scale + 1), "impossible weight")
    most = Fraction(layout.max_loss) * layout.loss_scale
    require(0 <= loss <= survivors * (most + 1), "impossible loss")
    require(weight / layout.weight_scale == Fraction(float.fromhex(case["weight"])), "another value")
    require(loss / layout.loss_scale == Fraction(float.fromhex(case["loss"])), "another value")
    if layout.with_validation:
        measured = layout.number(_taken(digits, layout.weight_digits))
        metric = layout.number(_taken(digits, layout.weight_digits))
        require(0 <= metric <= measured + survivors, "impossible validation metric")
        require(measured <= weight + survivors, "impossible validation metric")
        stated_weight = Fraction(float.fromhex(case["validation_weight"]))
        require(measured / layout.weight_scale == stated_weight, "another value")
        require(metric / layout.weight_scale == Fraction(float.fromhex(case["validation"])), "another value")
    require(not digits, "another length")
    for element, stated in zip(total[: layout.num_parameters], case["update_sum"], strict=True):
        signed = element - 2**32 if element >= 2**31 else element
        exact = signed / layout.update_scale
        # A float32 has 24 bits: the nearest one is off by at most 2^-24 of the value.
        off = abs(exact - Fraction(float.fromhex(stated)))
        require(off <= abs(exact) / 2**24, "another value")


def _taken(digits: list[int], count: int) -> list[int]:
    """Return the first digits, having removed them."""
    taken = digits[:count]
    del digits[:count]
    return taken
