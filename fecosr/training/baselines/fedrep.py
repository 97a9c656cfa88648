"""FedRep: the markets share the representation and keep their heads, which they train first in every round.

    head:            h_m  <-  several epochs on F_m(w, h_m) with w fixed
    representation:  w_m  <-  the local epochs on F_m(w, h_m) with h_m fixed; only w_m - w leaves the market

The representation is the shared model, encoder and projector; the head is the market's adapter with its
table of item ids.

Reference: Collins et al. 2021, "Exploiting Shared Representations for Personalized Federated Learning",
algorithm 1.
"""

import numpy as np
from torch import nn

from fecosr.recommender.model import MarketModel
from fecosr.training.epochs import train_epochs
from fecosr.training.local import LocalResult, local_result
from fecosr.training.optimisers import adamw
from fecosr.training.parameters import FloatVector, flatten, load_into
from fecosr.training.prepared import PreparedMarket
from fecosr.training.seeds import derive_seed, seeded
from fecosr.training.settings import LocalTrainingSettings


def train_head_then_representation(
    model: MarketModel,
    data: PreparedMarket,
    shared: FloatVector,
    settings: LocalTrainingSettings,
    *,
    head_epochs: int,
    seed: int,
    round_number: int,
) -> LocalResult:
    """Train a market's head, then the representation, with cross-entropy, and return the latter's update.

    Args:
        model: its adapter is the head and stays as it is left here; its shared part is overwritten.
        data: the market.
        shared: float32 [P], w.
        settings: how a market trains the representation in a round.
        head_epochs: epochs of the head before that, at the same rate.
        seed: of the run.
        round_number: from 1.
    """
    load_into(model.shared, shared)
    names = ("fedrep", round_number, data.market)
    generator = np.random.default_rng(derive_seed(seed, *names))
    with seeded(seed, *names):
        _train_part(model, model.adapter, data, settings, epochs=head_epochs, generator=generator)
        loss = _train_part(model, model.shared, data, settings, epochs=settings.epochs, generator=generator)
    return local_result(flatten(model.shared) - shared, data, model.max_length, loss)


def _train_part(
    model: MarketModel,
    part: nn.Module,
    data: PreparedMarket,
    settings: LocalTrainingSettings,
    *,
    epochs: int,
    generator: np.random.Generator,
) -> float:
    """Train one part of the model with the other fixed, and return the loss of the last epoch."""
    model.requires_grad_(requires_grad=False)
    part.requires_grad_()
    optimiser = adamw(
        part.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
    )
    loss = train_epochs(model, data, data.hard, optimiser, epochs, settings=settings, generator=generator)
    model.requires_grad_()
    return loss
