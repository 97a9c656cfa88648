"""Ditto: beside its part in the federation every market trains a model of its own, near the shared one.

    v_m  <-  v_m - eta ( grad F_m(v_m) + lambda (v_m - w) )

w are the shared parameters as the round began. lambda = 0 is Local, a large lambda the shared model.

Reference: Li et al. 2021, "Ditto: Fair and Robust Federated Learning Through Personalization", algorithm 1.
"""

import numpy as np

from fecosr.recommender.model import MarketModel
from fecosr.training.epochs import train_epochs
from fecosr.training.optimisers import adamw
from fecosr.training.parameters import FloatVector, flatten, load_into
from fecosr.training.prepared import PreparedMarket
from fecosr.training.proximal import ProximalTerm
from fecosr.training.seeds import derive_seed, seeded
from fecosr.training.settings import LocalTrainingSettings


def train_near_shared(
    model: MarketModel,
    data: PreparedMarket,
    shared: FloatVector,
    settings: LocalTrainingSettings,
    *,
    strength: float,
    seed: int,
    round_number: int,
) -> float:
    """Train a market's own model for one round with cross-entropy and return the loss of its last epoch.

    Args:
        model: v_m; its shared part is pulled towards `shared`, its adapter towards nothing.
        data: the market.
        shared: float32 [P], w.
        settings: how a market trains in a round.
        strength: lambda.
        seed: of the run.
        round_number: from 1.
    """
    own = flatten(model.shared)
    load_into(model.shared, shared)
    near_shared = ProximalTerm(model.shared, strength)
    load_into(model.shared, own)
    optimiser = adamw(
        model.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
    )
    near_shared.attach(optimiser)
    names = ("ditto", round_number, data.market)
    generator = np.random.default_rng(derive_seed(seed, *names))
    with seeded(seed, *names):
        return train_epochs(
            model, data, data.hard, optimiser, settings.epochs, settings=settings, generator=generator
        )
