"""The attacks pass the mechanism as it is and refute it with any of its parts broken."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from fecosr.audit.empirical import EmpiricalVerdict, Release, audit_mechanism, release
from fecosr.privacy.accounting import pld_epsilon, renyi_bound
from fecosr.privacy.contributions import FloatVector, IntegerVector
from fecosr.privacy.integer_mechanism import IntegerMechanism


def _audit(noise_multiplier: float, released: Release = release, seed: int = 1) -> EmpiricalVerdict:
    mechanism = IntegerMechanism.fitting(
        num_parameters=12_000,
        clip_norm=0.7,
        noise_multiplier=noise_multiplier,
        expected_users=1000,
        num_nodes=3,
        n_min=3,
        max_colluding=1,
    )
    return audit_mechanism(
        mechanism,
        {"pld": pld_epsilon},
        delta=1e-5,
        num_canaries=800,
        num_runs=1200,
        seed=seed,
        released=released,
    )


def halved_noise(users: Sequence[FloatVector], mechanism: IntegerMechanism, seed: bytes) -> IntegerVector:
    quarter = dataclasses.replace(mechanism, share_variance=mechanism.share_variance // 4)
    return release(users, quarter, seed)


def one_share_of_two(users: Sequence[FloatVector], mechanism: IntegerMechanism, seed: bytes) -> IntegerVector:
    return release(users, dataclasses.replace(mechanism, num_shares=1), seed)


def no_clipping(users: Sequence[FloatVector], mechanism: IntegerMechanism, seed: bytes) -> IntegerVector:
    total = sum((user.astype(np.float64) for user in users), np.zeros(mechanism.num_parameters))
    return release([], mechanism, seed) + np.trunc(total / mechanism.unit).astype(np.int64)


def one_user_leaks(users: Sequence[FloatVector], mechanism: IntegerMechanism, seed: bytes) -> IntegerVector:
    """Forget the clip of whoever comes last."""
    return no_clipping(users[-1:], mechanism, seed) + release(users[:-1], mechanism, seed)


@pytest.mark.parametrize("noise_multiplier", [1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_honest_mechanism_passes(noise_multiplier: float, seed: int) -> None:
    verdict = _audit(noise_multiplier, seed=seed)
    assert not verdict.is_refuted
    # The attack is not blind either.
    assert verdict.refuted["one run, Gaussian trade-off"] > 0.2 * verdict.claimed_epsilon


@pytest.mark.parametrize("noise_multiplier", [1.0, 3.0])
@pytest.mark.parametrize("broken", [halved_noise, no_clipping])
def test_a_broken_mechanism_is_refuted(noise_multiplier: float, broken: Release) -> None:
    verdict = _audit(noise_multiplier, broken)
    assert verdict.is_refuted
    assert verdict.refuted["one run, Gaussian trade-off"] > verdict.claimed_epsilon


def test_a_leak_of_one_user_is_seen_by_the_attack_on_one_user() -> None:
    verdict = _audit(2.0, one_user_leaks)
    assert verdict.refuted["one user, many runs"] > verdict.claimed_epsilon
    assert verdict.refuted["one run, Gaussian trade-off"] < verdict.claimed_epsilon


def test_a_claim_that_is_too_small_is_refuted() -> None:
    mechanism = IntegerMechanism(12_000, 1.0, 1 << 16, 1 << 30, 2)
    verdict = audit_mechanism(
        mechanism,
        {"optimist": lambda *plan: 0.3 * renyi_bound(*plan)},
        delta=1e-5,
        num_canaries=800,
        num_runs=10,
        seed=1,
    )
    assert verdict.is_refuted


def test_the_verdict_is_a_function_of_the_seed() -> None:
    assert _audit(2.0, one_share_of_two) == _audit(2.0, one_share_of_two)
