"""The sampler of Canonne, Kamath and Steinke 2020, Algorithms 1 to 3, one draw at a time with exact coins."""

import random
from fractions import Fraction
from math import isqrt


def draw(variance: int, rng: random.Random) -> int:
    scale = isqrt(variance) + 1
    while True:
        candidate = _laplace(scale, rng)
        gap = abs(candidate) - Fraction(variance, scale)
        if _bernoulli_exp(gap * gap / (2 * variance), rng):
            return candidate


def _laplace(scale: int, rng: random.Random) -> int:
    while True:
        remainder = rng.randrange(scale)
        if not _bernoulli_exp(Fraction(remainder, scale), rng):
            continue
        quotient = 0
        while _bernoulli_exp(Fraction(1), rng):
            quotient += 1
        magnitude = remainder + scale * quotient
        negative = rng.randrange(2) == 1
        if not (negative and magnitude == 0):
            return -magnitude if negative else magnitude


def _bernoulli_exp(exponent: Fraction, rng: random.Random) -> bool:
    while exponent > 1:
        if not _bernoulli_exp_small(Fraction(1), rng):
            return False
        exponent -= 1
    return _bernoulli_exp_small(exponent, rng)


def _bernoulli_exp_small(exponent: Fraction, rng: random.Random) -> bool:
    index = 1
    while rng.randrange(exponent.denominator * index) < exponent.numerator:
        index += 1
    return index % 2 == 1
