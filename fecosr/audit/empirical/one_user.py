"""The attack on one user: sums with them and without, told apart; one round at a time, everybody sampled.

It sees a fault that concerns a single user, which no attack on many canaries in one run can see.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from fecosr.audit.empirical.canaries import Scores, clipped_gradients
from fecosr.audit.empirical.population import with_training_users, without
from fecosr.audit.empirical.rounds import SeenRound
from fecosr.audit.empirical.sabotage import Contribute
from fecosr.audit.empirical.terms import Terms
from fecosr.crypto.labels import sha256
from fecosr.ids import NodeId
from fecosr.training.market import MarketLearner

_ROUND = 1


def scores_with_and_without(
    terms: Terms,
    learners: Mapping[NodeId, MarketLearner],
    user: int,
    contribute: Contribute,
    *,
    num_sums: int,
    seed: int,
    advance: Callable[[int], None] = lambda _sums: None,
) -> tuple[Scores, Scores]:
    """Return how far sums point along a user's gradient, with the user in them and without, float64 [n] each.

    Args:
        terms: the plan; only its sampling is left out.
        learners: every market.
        user: number of the user in the first market.
        contribute: what training does.
        num_sums: n.
        seed: of the secrets, which are others in every sum.
        advance: is told how many sums there are.
    """
    first, *others = (name for name in terms.markets if name not in terms.colluding)
    train = learners[first].data.split.train
    mechanism, settings = terms.mechanism(), replace(terms.training, sampling_probability=1.0)
    shared = terms.initial()
    start = SeenRound(_ROUND, shared, np.zeros(len(shared), np.int64))
    direction = clipped_gradients(start, learners[first], terms, [train[user]])[0]
    scores: dict[bool, list[float]] = {True: [], False: []}
    for is_in, found in scores.items():
        present = train if is_in else without(train, user)
        parties = [with_training_users(learners[first], present), *(learners[name] for name in others)]
        for number in range(num_sums):
            total = np.zeros(len(shared), np.uint32)
            for place, learner in enumerate(parties):
                secret = sha256(repr(("one user", seed, is_in, number, place)).encode())
                total += contribute(learner, shared, _ROUND, settings, mechanism, secret=secret)
            found.append(float(direction @ total.view(np.int32).astype(np.float32)))
            advance(len(scores[True]) + len(scores[False]))
    return np.array(scores[True]), np.array(scores[False])
