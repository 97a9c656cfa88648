"""Shamir secret sharing of 32-byte secrets over the prime field of 2^256 + 297 elements."""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Final

from fecosr.crypto.key_agreement import derive_key
from fecosr.crypto.labels import Label
from fecosr.crypto.prg import expand
from fecosr.errors import CryptoError, MisuseError

PRIME: Final = 2**256 + 297
"""The smallest prime above 2^256, so that every 32-byte string is a field element."""
SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 33
_COEFFICIENT_BYTES: Final = 48


def split(secret: bytes, threshold: int, num_shares: int, entropy: bytes) -> tuple[bytes, ...]:
    """Return shares of `secret`: any `threshold` of them reconstruct it and fewer say nothing about it.

    Share i is the value at x = i + 1 of the polynomial whose constant term is the secret and whose other
    coefficients come from `entropy`.

    Args:
        secret: 32 bytes.
        threshold: from 1 to `num_shares`.
        num_shares: how many shares to make.
        entropy: 32 uniform bytes that share nothing else.

    Raises:
        MisuseError: an argument is not as described.

    Guarantees:
        Uniformity: a coefficient is 384 keystream bits modulo a 257-bit prime, so its distance from uniform
        is below 2^-127 and no number of shares a deployment could make would show it.

    Reference: Shamir 1979, "How to share a secret".
    """
    if len(secret) != SECRET_BYTES or len(entropy) != SECRET_BYTES:
        raise MisuseError(f"secret and entropy are {SECRET_BYTES} bytes each")
    if not 1 <= threshold <= num_shares:
        raise MisuseError("the threshold must be between 1 and the number of shares")
    coefficients = [int.from_bytes(secret, "big"), *_coefficients(entropy, threshold - 1)]
    coefficients.reverse()
    return tuple(_evaluate(coefficients, x).to_bytes(SHARE_BYTES, "big") for x in range(1, num_shares + 1))


def lagrange_weights(points: Sequence[int], at: int = 0) -> tuple[int, ...]:
    """Return for each point its weight in the value, at position `at`, of the polynomial through all of them.

    At zero the weight of x_i is the product over j != i of x_j / (x_j - x_i). Computing it once for a set of
    share holders makes every further reconstruction from the same set a plain weighted sum.

    Raises:
        CryptoError: two points are equal, or one is `at`.
    """
    # Moving the origin to `at` turns the question into that of the value at zero.
    moved = [(x - at) % PRIME for x in points]
    if len(set(moved)) != len(moved) or 0 in moved:
        raise CryptoError("share positions must be distinct and none the one asked for")
    everything = prod(moved) % PRIME
    denominators = [prod((other - x for other in moved if other != x), start=x) % PRIME for x in moved]
    return tuple(everything * inverse % PRIME for inverse in _invert_all(denominators))


def interpolate(weights: Iterable[int], shares: Iterable[bytes]) -> bytes:
    """Return the share (33 bytes) at the position the Lagrange weights were made for.

    Raises:
        CryptoError: a share is malformed.
        ValueError: there are not as many weights as shares.
    """
    value = sum(weight * _element(share) for weight, share in zip(weights, shares, strict=True)) % PRIME
    return value.to_bytes(SHARE_BYTES, "big")


def combine(weights: Iterable[int], shares: Iterable[bytes]) -> bytes:
    """Return the secret that `shares` open, given the Lagrange weights of their positions in the same order.

    Raises:
        CryptoError: a share is malformed, or the value is no 32-byte secret.
        ValueError: there are not as many weights as shares.
    """
    value = interpolate(weights, shares)
    if value[0]:
        raise CryptoError("shares do not open a secret")
    return value[1:]


def is_share(value: bytes) -> bool:
    """Return whether `value` is a share at all: 33 bytes that are an element of the field."""
    return len(value) == SHARE_BYTES and int.from_bytes(value, "big") < PRIME


def reconstruct(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """Return the secret opened by the `threshold` shares with the lowest positions.

    A wrong share yields a wrong secret, not an error: callers compare the result with a commitment.

    Args:
        shares: position x -> share.
        threshold: how many shares the secret was split for.

    Raises:
        CryptoError: there are too few shares, one is malformed, or they open nothing.
    """
    if len(shares) < threshold or threshold < 1:
        raise CryptoError("too few shares")
    points = sorted(shares)[:threshold]
    return combine(lagrange_weights(points), [shares[x] for x in points])


def _coefficients(entropy: bytes, count: int) -> list[int]:
    stream = expand(derive_key(entropy, Label.SHAMIR_COEFFICIENTS), count * _COEFFICIENT_BYTES // 4)
    data = stream.astype("<u4", copy=False).tobytes()
    starts = range(0, len(data), _COEFFICIENT_BYTES)
    return [int.from_bytes(data[i : i + _COEFFICIENT_BYTES], "big") % PRIME for i in starts]


def _evaluate(highest_first: Sequence[int], x: int) -> int:
    # Positions are small, so reducing once at the end is cheaper than after every step.
    value = 0
    for coefficient in highest_first:
        value = value * x + coefficient
    return value % PRIME


def _invert_all(values: Sequence[int]) -> list[int]:
    # One modular inversion and three multiplications a value (Montgomery's trick).
    prefixes = [1]
    for value in values:
        prefixes.append(prefixes[-1] * value % PRIME)
    running = pow(prefixes[-1], -1, PRIME)
    inverses = [0] * len(values)
    for i in reversed(range(len(values))):
        inverses[i] = running * prefixes[i] % PRIME
        running = running * values[i] % PRIME
    return inverses


def _element(share: bytes) -> int:
    if not is_share(share):
        raise CryptoError("malformed share")
    return int.from_bytes(share, "big")
