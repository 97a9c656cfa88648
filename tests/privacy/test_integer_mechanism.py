from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.errors import MisuseError
from fecosr.privacy.integer_mechanism import MIN_SHARE_STDDEV, IntegerMechanism

FITTING: dict[str, Any] = {
    "num_parameters": 1000,
    "clip_norm": 1.0,
    "noise_multiplier": 1.0,
    "expected_users": 2500,
    "num_nodes": 5,
    "n_min": 4,
    "max_colluding": 1,
}


@given(st.floats(0.05, 50), st.floats(1e-6, 1e6), st.integers(1, 300), st.integers(0, 50))
def test_the_unknown_noise_is_never_below_what_was_asked_for(
    noise_multiplier: float, clip_norm: float, num_shares: int, max_colluding: int
) -> None:
    mechanism = IntegerMechanism.fitting(
        num_parameters=10,
        clip_norm=clip_norm,
        noise_multiplier=noise_multiplier,
        expected_users=10,
        num_nodes=num_shares + max_colluding + 3,
        n_min=num_shares + max_colluding,
        max_colluding=max_colluding,
    )
    assert noise_multiplier <= mechanism.noise_multiplier <= noise_multiplier * 1.001
    assert mechanism.share_variance >= MIN_SHARE_STDDEV**2
    assert mechanism.unit * mechanism.clip_units == pytest.approx(clip_norm, rel=1e-12)


def test_fewer_shares_than_survivors_carry_the_noise() -> None:
    mechanism = IntegerMechanism.fitting(**FITTING)
    assert mechanism.num_shares == 3
    # All present and honest: the sum carries 5 / 3 of the variance that was asked for.
    assert 5 * mechanism.share_variance / mechanism.total_variance == pytest.approx(5 / 3)


@pytest.mark.parametrize("expected_users", [0, 100, 2500, 50_000])
def test_the_finest_unit_is_taken_at_which_the_worst_coordinate_fits_the_ring(expected_users: int) -> None:
    mechanism = IntegerMechanism.fitting(**{**FITTING, "expected_users": expected_users})
    largest = mechanism.largest_sum(expected_users, 5)
    assert largest < 1 << 31
    assert mechanism.clip_units == 1 << 20 or 2 * largest >= 1 << 31
    assert largest > mechanism.clip_units * expected_users


def test_too_many_users_are_refused_before_the_sum_could_wrap_around() -> None:
    with pytest.raises(MisuseError, match="does not fit the ring"):
        IntegerMechanism.fitting(**{**FITTING, "expected_users": 300_000})


def test_noise_is_compared_with_the_largest_signal_there_can_be() -> None:
    """A hundred users who agree, one noise multiplier of 2, 10,000 parameters: 2 * 100 / 100."""
    mechanism = IntegerMechanism(10_000, 1.0, 1 << 16, 1 << 34, 1)
    assert mechanism.noise_to_signal(100, 1) == pytest.approx(2.0)
    assert mechanism.noise_to_signal(100, 4) == pytest.approx(4.0)


def test_l1_sensitivity_is_the_smaller_of_two_bounds() -> None:
    assert IntegerMechanism(4, 1.0, 100, 1 << 24, 1).l1_sensitivity == 200
    assert IntegerMechanism(10**9, 1.0, 100, 1 << 24, 1).l1_sensitivity == 10_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"noise_multiplier": 0.0},
        {"noise_multiplier": float("inf")},
        {"max_colluding": 4},
        {"max_colluding": -1},
        {"n_min": 6},
        {"expected_users": -1.0},
        {"clip_norm": 0.0},
        {"num_parameters": 0},
    ],
)
def test_refuses_what_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(MisuseError):
        IntegerMechanism.fitting(**{**FITTING, **wrong})


def test_refuses_a_clip_whose_square_is_not_exact() -> None:
    with pytest.raises(MisuseError, match="clip_units"):
        IntegerMechanism(4, 1.0, (1 << 26) + 1, 1 << 24, 1)


def test_refuses_shares_too_narrow_to_be_accounted_as_normal() -> None:
    with pytest.raises(MisuseError, match="standard deviation"):
        IntegerMechanism(4, 1.0, 100, (1 << 24) - 1, 1)
