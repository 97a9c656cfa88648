"""What canaries look like to an adversary who sees every opened sum: one score each, and guesses from these.

The adversary of the promise knows everything but the coins: the data of all ordinary users, what each canary
would have bought, and so everybody's gradient at every model. A canary's score is how far the sums, less what
ordinary users are expected to have added, point along its gradient. What all canaries have in common says
nothing about any of them, and is left out.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.audit.empirical.rounds import SeenRound, SeenRun
from fecosr.audit.empirical.terms import Terms
from fecosr.data.sequences import ItemArray
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import load_into, new_shared_model
from fecosr.training.private import draw_items
from fecosr.training.seeds import derive_seed
from fecosr.training.user_batches import user_batches
from fecosr.training.user_gradients import UserGradientFunction

_PRODUCTS: Final = 4
"""Rounds whose inner products are looked at, at most."""
_TINY: Final = 1e-12

Scores = npt.NDArray[np.float64]
Directions = npt.NDArray[np.float32]


def canary_scores(
    run: SeenRun, terms: Terms, canaries: Sequence[ItemArray], ordinary: Sequence[Sequence[ItemArray]]
) -> Scores:
    """Return the score of each canary after all rounds, float64 [m].

    Gradients are never quite orthogonal, so each canary casts a shadow on the scores of the others. Scores
    are disentangled by the inner products of the gradients, which change little from round to round, as far
    as that is best (in the least squares) where the noise is half of what is claimed: that is to be noticed.

    Args:
        run: what the adversary sees.
        terms: the plan.
        canaries: what each has bought, as far as training reads it.
        ordinary: the same of the ordinary users of every market.
    """
    along, products = np.zeros(len(canaries)), []
    pause = -(-len(run.rounds) // _PRODUCTS)
    for place, seen in enumerate(run.rounds):
        unexpected = seen.total / run.clip_units - _expected(seen, run, terms, ordinary)  # [P]
        directions = clipped_gradients(seen, run.learners[terms.markets[0]], terms, canaries)  # [m, P]
        common = directions.mean(axis=0)  # [P]
        common /= max(float(np.linalg.norm(common)), _TINY)
        directions -= np.outer(directions @ common, common)
        along += directions @ unexpected.astype(np.float32)
        if place % pause == 0:
            products.append(directions @ directions.T)  # [m, m]
    if not products:
        return along
    told = terms.privacy.sampling_probability**2 * len(run.rounds)
    ridge = terms.mechanism().noise_multiplier ** 2 / told
    disentangled: Scores = np.linalg.solve(np.mean(products, axis=0) + ridge * np.eye(len(along)), along)
    return disentangled


def clipped_gradients(
    seen: SeenRound, learner: MarketLearner, terms: Terms, users: Sequence[ItemArray]
) -> Directions:
    """Return each user's clipped gradient at the model of a round, float32 [users, P], over clip_norm."""
    training = terms.training
    model = new_shared_model(learner.settings.encoder, learner.settings.semantics, learner.seed)
    load_into(model, seen.shared)
    public_seed = derive_seed(learner.seed, "private-round", seen.number)
    drawn = draw_items(learner.data.num_items, training.num_drawn, public_seed)
    gradients = UserGradientFunction(model, learner.data.semantics, drawn)
    soft = learner.data.soft if training.loss == "s2ce" else learner.data.hard
    found = np.zeros((len(users), len(seen.shared)), np.float32)
    for batch in user_batches(
        users, soft, max_length=model.max_length, users_at_a_time=training.users_at_a_time
    ):
        dense = np.concatenate(gradients(batch).dense, axis=1)[: batch.num_users]  # [B, P]
        norms = np.sqrt(np.square(dense).sum(axis=1, keepdims=True))  # [B, 1]
        found[batch.places] = dense / np.maximum(norms, training.clip_norm)
    return found


def _expected(
    seen: SeenRound, run: SeenRun, terms: Terms, ordinary: Sequence[Sequence[ItemArray]]
) -> npt.NDArray[np.float64]:
    """Return what ordinary users of honest markets add on average, float64 [P], over clip_norm."""
    total = np.zeros(len(seen.shared))
    for name, users in zip(terms.markets, ordinary, strict=True):
        if name not in terms.colluding:
            total += clipped_gradients(seen, run.learners[name], terms, users).sum(axis=0)
    return terms.privacy.sampling_probability * total
