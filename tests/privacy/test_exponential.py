from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.errors import MisuseError
from fecosr.privacy.exponential import scaled_exp


def _series(x: Fraction, terms: int = 400) -> Fraction:
    total = term = Fraction(1)
    for index in range(1, terms):
        term = term * x / index
        total += term
    return 1 / total


@given(st.integers(0, 400), st.integers(1, 40), st.integers(1, 200))
def test_is_within_one_unit_of_the_rational_series(numerator: int, denominator: int, bits: int) -> None:
    x = Fraction(numerator, denominator)
    if x > 80:
        return
    assert abs(scaled_exp(numerator, denominator, bits) - _series(x) * (1 << bits)) <= 1


def test_no_exponent_is_certainty_and_a_huge_one_is_nothing() -> None:
    assert scaled_exp(0, 7, 50) == 1 << 50
    assert scaled_exp(10**9, 1, 192) == 0


@pytest.mark.parametrize(("numerator", "denominator", "bits"), [(-1, 1, 8), (1, 0, 8), (1, 1, -1)])
def test_refuses_what_is_no_exponent(numerator: int, denominator: int, bits: int) -> None:
    with pytest.raises(MisuseError):
        scaled_exp(numerator, denominator, bits)
