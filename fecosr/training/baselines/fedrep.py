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
from torch.optim import AdamW

from fecosr.recommender.model import MarketModel
from fecosr.training.epochs import train_epoch
from fecosr.training.local import LocalResult
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
    lengths = np.array([len(sequence) for sequence in data.split.train], dtype=np.int64)
    targets = np.clip(lengths - 1, 0, model.max_length)
    update = flatten(model.shared) - shared
    return LocalResult(update, int((targets > 0).sum()), int(targets.sum()), loss)


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
    optimiser = AdamW(
        part.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    loss = 0.0
    for _ in range(epochs):
        loss = train_epoch(
            model,
            data,
            data.hard,
            optimiser,
            batch_size=settings.batch_size,
            precision=settings.precision,
            generator=generator,
        )
    model.requires_grad_()
    return loss
