"""What needs no statistics, or next to none: how much one user changes a sum, and how much noise there is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.stats import chi2

from fecosr.audit.empirical.population import with_training_users, without
from fecosr.audit.empirical.sabotage import Contribute
from fecosr.audit.empirical.terms import Terms
from fecosr.crypto.labels import sha256
from fecosr.ids import NodeId
from fecosr.training.market import MarketLearner

_FALSE_ALARM: Final = 1e-6
"""How often noise that is as promised is measured to be too little."""
_ROUND: Final = 1


@dataclass(frozen=True, slots=True)
class Influence:
    """Say how much one user changed a market's sum at most.

    Attributes:
        user: the user's number in the first market.
        share_of_clip_norm: L2 norm of the change over the bound; above 1 the bound does not hold.
    """

    user: int
    share_of_clip_norm: float


@dataclass(frozen=True, slots=True)
class Noise:
    """Say how much noise there is in a sum, as a multiple of what was promised.

    Attributes:
        measured: standard deviation over many draws.
        at_most: what it is not above, but with a chance of one in a million.
        num_draws: how many.
    """

    measured: float
    at_most: float
    num_draws: int


def largest_influence(terms: Terms, learner: MarketLearner, contribute: Contribute, seed: int) -> Influence:
    """Return the user who changes the sum of a market most.

    Every user in turn is left out of a sum in which everybody takes part; coins and noise are the same with
    and without, so the difference is what that user added, to the bit.

    Args:
        terms: the plan.
        learner: the market; its users are tried one after the other.
        contribute: what training does.
        seed: of the secrets.
    """
    mechanism, settings = terms.mechanism(), replace(terms.training, sampling_probability=1.0)
    train, shared, secret = learner.data.split.train, terms.initial(), _secret(seed, "influence")
    everybody = contribute(learner, shared, _ROUND, settings, mechanism, secret=secret)
    found = Influence(0, 0.0)
    for user in range(len(train)):
        fewer = with_training_users(learner, without(train, user))
        change = everybody - contribute(fewer, shared, _ROUND, settings, mechanism, secret=secret)
        norm = float(np.linalg.norm(change.view(np.int32).astype(np.float64)))
        if norm > found.share_of_clip_norm * mechanism.clip_units:
            found = Influence(user, norm / mechanism.clip_units)
    return found


def noise_in_a_sum(
    terms: Terms, learners: Mapping[NodeId, MarketLearner], contribute: Contribute, seed: int
) -> Noise:
    """Return how much noise honest markets without any user add to a sum."""
    mechanism = terms.mechanism()
    total = np.zeros(mechanism.num_parameters, np.uint32)
    for name in terms.markets:
        if name not in terms.colluding:
            nobody = with_training_users(
                learners[name], tuple(user[:0] for user in learners[name].data.split.train)
            )
            secret = _secret(seed, "noise", name)
            total += contribute(nobody, terms.initial(), _ROUND, terms.training, mechanism, secret=secret)
    draws = total.view(np.int32).astype(np.float64)
    squares = float(draws @ draws) / mechanism.total_variance
    at_most = squares / float(chi2.ppf(_FALSE_ALARM, draws.size))
    return Noise(float(np.sqrt(squares / draws.size)), float(np.sqrt(at_most)), draws.size)


def _secret(seed: int, *names: str) -> bytes:
    return sha256(repr(("empirical audit", seed, *names)).encode())
