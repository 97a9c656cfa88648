"""exp(-x) of a rational number as an integer with as many bits as asked for: the same on every machine."""

from typing import Final

from fecosr.errors import MisuseError

_GUARD_BITS: Final = 64
_SMALL_BITS: Final = 8
"""The series is summed for x < 2^-8, where each term adds more than eight bits."""


def scaled_exp(numerator: int, denominator: int, bits: int) -> int:
    """Return 2^bits * exp(-numerator / denominator) as an integer.

    Args:
        numerator: not negative.
        denominator: positive.
        bits: of the result.

    Raises:
        MisuseError: an argument is out of range.

    Guarantees:
        Error: within one unit, because 64 guard bits absorb what the series and the squarings lose.
    """
    if numerator < 0 or denominator <= 0 or bits < 0:
        raise MisuseError("an exponent is not negative, its denominator positive")
    if numerator > bits * denominator:
        return 0  # exp(-bits) is less than half a unit
    halvings = max(0, numerator.bit_length() - denominator.bit_length() + 1 + _SMALL_BITS)
    precision = bits + _GUARD_BITS + halvings
    x = (numerator << precision) // (denominator << halvings)
    growth = term = 1 << precision  # exp(+x): all terms are positive, so nothing cancels
    index = 0
    while term:
        index += 1
        term = (term * x >> precision) // index
        growth += term
    for _ in range(halvings):
        growth = growth * growth >> precision
    return (1 << (precision + bits)) // growth
