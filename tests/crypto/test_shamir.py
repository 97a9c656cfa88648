from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fecosr.crypto.shamir import (
    PRIME,
    combine,
    interpolate,
    lagrange_weights,
    reconstruct,
    split,
)
from fecosr.errors import CryptoError, MisuseError
from tests.reference.primitives import interpolate_at_zero

SECRET = bytes(range(32))
ENTROPY = b"\x5a" * 32


def positions(shares: tuple[bytes, ...]) -> dict[int, bytes]:
    return dict(enumerate(shares, start=1))


def test_the_modulus_is_prime() -> None:
    # Miller-Rabin with the first 24 primes as bases.
    odd, twos = PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89):
        powers = [pow(base, odd << i, PRIME) for i in range(twos)]
        assert powers[0] == 1 or PRIME - 1 in powers


def test_every_quorum_reconstructs() -> None:
    shares = positions(split(SECRET, 3, 5, ENTROPY))
    for quorum in combinations(shares, 3):
        chosen = {x: shares[x] for x in quorum}
        assert reconstruct(chosen, 3) == SECRET
        assert interpolate_at_zero(chosen).to_bytes(32, "big") == SECRET


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 12), st.integers(0, 8))
def test_any_threshold_of_any_number(secret: bytes, threshold: int, spare: int) -> None:
    shares = positions(split(secret, threshold, threshold + spare, ENTROPY))
    assert reconstruct(shares, threshold) == secret


def test_the_largest_secret_survives() -> None:
    secret = b"\xff" * 32
    assert reconstruct(positions(split(secret, 2, 3, ENTROPY)), 2) == secret


def test_one_share_fewer_fits_every_secret() -> None:
    shares = positions(split(SECRET, 3, 5, ENTROPY))
    known = {1: shares[1], 2: shares[2]}
    for guess in (SECRET, bytes(32), b"\7" * 32):
        # Some third share makes the two known ones open the guess, so they alone exclude nothing.
        third = interpolate(lagrange_weights([0, 1, 2], at=3), [b"\0" + guess, *known.values()])
        assert reconstruct({**known, 3: third}, 3) == guess
    with pytest.raises(CryptoError):
        reconstruct(known, 3)


def test_sharing_is_deterministic_in_its_entropy() -> None:
    assert split(SECRET, 3, 5, ENTROPY) == split(SECRET, 3, 5, ENTROPY)
    assert split(SECRET, 3, 5, ENTROPY) != split(SECRET, 3, 5, bytes(32))


def test_weights_are_shared_by_all_secrets_of_one_quorum() -> None:
    quorum = [2, 4, 5]
    weights = lagrange_weights(quorum)
    for secret in (SECRET, bytes(32), b"\xfe" * 32):
        shares = split(secret, 3, 5, ENTROPY)
        assert combine(weights, [shares[x - 1] for x in quorum]) == secret


def test_the_polynomial_predicts_every_other_share() -> None:
    shares = positions(split(SECRET, 3, 6, ENTROPY))
    quorum = [1, 3, 6]
    for x in (2, 4, 5):
        assert interpolate(lagrange_weights(quorum, at=x), [shares[y] for y in quorum]) == shares[x]


def test_a_wrong_share_gives_a_wrong_secret() -> None:
    shares = positions(split(SECRET, 3, 5, ENTROPY))
    shares[2] = shares[3]
    assert reconstruct(shares, 3) != SECRET


@pytest.mark.parametrize("share", [b"", bytes(32), bytes(34), PRIME.to_bytes(33, "big"), b"\xff" * 33])
def test_malformed_shares_are_refused(share: bytes) -> None:
    shares = positions(split(SECRET, 2, 3, ENTROPY))
    with pytest.raises(CryptoError):
        reconstruct({**shares, 1: share}, 2)


def test_a_value_that_is_no_secret_is_refused() -> None:
    with pytest.raises(CryptoError):
        combine([1], [(2**256).to_bytes(33, "big")])


@pytest.mark.parametrize("points", [[1, 1], [0, 1], [PRIME, 1], [1, PRIME + 1]])
def test_unusable_positions_are_refused(points: list[int]) -> None:
    with pytest.raises(CryptoError):
        lagrange_weights(points)


@pytest.mark.parametrize(
    ("secret", "threshold", "num_shares", "entropy"),
    [
        (bytes(31), 2, 3, ENTROPY),
        (SECRET, 0, 3, ENTROPY),
        (SECRET, 4, 3, ENTROPY),
        (SECRET, 2, 3, b""),
    ],
)
def test_misuse_is_refused(secret: bytes, threshold: int, num_shares: int, entropy: bytes) -> None:
    with pytest.raises(MisuseError):
        split(secret, threshold, num_shares, entropy)
