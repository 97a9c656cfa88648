"""Attack the mechanism with canaries and compare what the attack achieves with what is claimed.

The attacker chooses canaries and sees every opened sum: each canary is a vector of its own direction, longer
than clip_norm, and its score is how far the sums point into that direction. No attacker who sees more exists
under the promise, so a mechanism that keeps too little noise, or does not clip, is found out.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.crypto.key_agreement import derive_key
from fecosr.crypto.labels import Label
from fecosr.privacy.accounting import Accountant, epsilons, larger_epsilon
from fecosr.privacy.contributions import FloatVector, IntegerVector, UserSum, noisy_sum
from fecosr.privacy.empirical import (
    Guesses,
    gaussian_epsilon_refuted,
    guess,
    neighbour_epsilon,
    one_run_epsilon,
)
from fecosr.privacy.events import PoissonIntegerGaussian
from fecosr.privacy.integer_mechanism import IntegerMechanism

Release = Callable[[Sequence[FloatVector], IntegerMechanism, bytes], IntegerVector]
"""Return the noisy sum of some users' contributions, with the noise that a seed gives."""

FAILURE_PROBABILITY: Final = 0.05
"""How often an honest mechanism may be accused."""
_STRENGTH: Final = 10.0
"""How much longer than clip_norm a canary is."""


@dataclass(frozen=True, slots=True)
class EmpiricalVerdict:
    """Compare a claim with what attacks refute.

    Attributes:
        claimed_epsilon: by the accountants, at `delta`.
        delta: of claim and bounds.
        refuted: the epsilon that each attack refutes, by its name; each with confidence 95 %.
        guesses: of the attack in one run.
    """

    claimed_epsilon: float
    delta: float
    refuted: Mapping[str, float]
    guesses: Guesses

    @property
    def is_refuted(self) -> bool:
        """Return whether an attack achieves more than the claim allows."""
        return max(self.refuted.values()) > self.claimed_epsilon


def release(contributions: Sequence[FloatVector], mechanism: IntegerMechanism, seed: bytes) -> IntegerVector:
    """Return what one honest node with all shares of the noise releases."""
    users = UserSum(mechanism)
    for contribution in contributions:
        users.add([contribution])
    total = users.total()
    for share in range(mechanism.num_shares):
        total = noisy_sum(total, mechanism, derive_key(seed, Label.PRIVATE_STEP, share.to_bytes(8, "big")))
    return total


def audit_mechanism(
    mechanism: IntegerMechanism,
    accountants: Mapping[str, Accountant],
    *,
    delta: float,
    num_canaries: int,
    num_runs: int,
    seed: int,
    released: Release = release,
) -> EmpiricalVerdict:
    """Attack one sum without sampling, where the claim is tightest, in two ways.

    Args:
        mechanism: of the sum; its num_parameters should be many times num_canaries, or canaries collide.
        accountants: who make the claim.
        delta: of the claim.
        num_canaries: in the one run of the first attack, about a third of which are guessed.
        num_runs: with and without one user, for the second attack.
        seed: of coins, canaries and noise.
        released: the mechanism as it is implemented.
    """
    rng = np.random.default_rng(seed)
    event = PoissonIntegerGaussian(
        1.0,
        mechanism.clip_units,
        mechanism.share_variance,
        mechanism.num_shares,
        mechanism.num_parameters,
    )
    claimed = larger_epsilon(epsilons({event: 1}, delta, accountants))
    guesses = _one_run(mechanism, num_canaries, rng, released)
    refuted = {
        "one run": one_run_epsilon(guesses, delta, FAILURE_PROBABILITY),
        "one run, Gaussian trade-off": gaussian_epsilon_refuted(guesses, delta, FAILURE_PROBABILITY),
        "one user, many runs": _many_runs(mechanism, num_runs, delta, rng, released),
    }
    return EmpiricalVerdict(claimed, delta, refuted, guesses)


def _one_run(
    mechanism: IntegerMechanism, num_canaries: int, rng: np.random.Generator, released: Release
) -> Guesses:
    included = rng.random(num_canaries) < 0.5
    canaries = _canaries(mechanism, num_canaries, rng)
    total = released(
        [canary for canary, is_in in zip(canaries, included, strict=True) if is_in], mechanism, rng.bytes(32)
    )
    return guess(canaries.astype(np.float64) @ total, included, 2 * (num_canaries // 6))


def _many_runs(
    mechanism: IntegerMechanism, num_runs: int, delta: float, rng: np.random.Generator, released: Release
) -> float:
    # One dimension is enough for one user, and it is quick.
    narrow = IntegerMechanism(
        1, mechanism.clip_norm, mechanism.clip_units, mechanism.share_variance, mechanism.num_shares
    )
    user = np.array([_STRENGTH * mechanism.clip_norm], np.float32)
    scores = [
        np.array([float(released(users, narrow, rng.bytes(32))[0]) for _ in range(num_runs)])
        for users in ([user], [])
    ]
    return neighbour_epsilon(scores[0], scores[1], delta, FAILURE_PROBABILITY)


def _canaries(
    mechanism: IntegerMechanism, num_canaries: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return vectors of random signs, float32 [canaries, P]: nearly orthogonal, all of the same length."""
    signs = rng.integers(0, 2, (num_canaries, mechanism.num_parameters), np.int8) * np.float32(
        2
    ) - np.float32(1)
    length = _STRENGTH * mechanism.clip_norm / math.sqrt(mechanism.num_parameters)
    return (signs * np.float32(length)).astype(np.float32)
