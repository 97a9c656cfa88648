"""What a market does in one round: train the shared model on its own sequences and return the difference."""

from dataclasses import dataclass, field

import numpy as np

from fecosr.recommender.model import SharedModel
from fecosr.recommender.soft_targets import SoftTargets, smoothed
from fecosr.training.epochs import Progress, ignore_progress, train_epochs
from fecosr.training.optimisers import adamw
from fecosr.training.parameters import FloatVector, flatten, load_into
from fecosr.training.prepared import PreparedMarket
from fecosr.training.proximal import ProximalTerm
from fecosr.training.seeds import derive_seed, seeded
from fecosr.training.settings import LocalTrainingSettings


@dataclass(frozen=True, slots=True, eq=False)
class LocalResult:
    """Hold what one market contributes to one round, before clipping and encryption.

    Attributes:
        update: float32 [P], trained minus shared parameters.
        num_users: users with at least one training target.
        num_targets: training targets in one epoch.
        loss: mean loss per target over the last epoch.
    """

    update: FloatVector = field(repr=False)
    num_users: int
    num_targets: int
    loss: float


def train_locally(
    model: SharedModel,
    data: PreparedMarket,
    shared: FloatVector,
    settings: LocalTrainingSettings,
    *,
    seed: int,
    round_number: int,
    progress: Progress = ignore_progress,
) -> LocalResult:
    """Return the update of one round.

    The optimiser is new in every round, so a node that missed rounds, or restarted, does exactly what it
    would have done otherwise. There is no table of item ids here: what this learns about items, it learns
    about their semantics.

    Args:
        model: scratch space of the right shape; its parameters are overwritten.
        data: the market.
        shared: float32 [P], where the round starts.
        settings: of local training.
        seed: of the run.
        round_number: from 1; with `seed` and the market's name it fixes order of batches and dropout.
        progress: called after each epoch.

    Guarantees:
        Equal arguments give an equal update, bit for bit, on one machine with one number of threads.
    """
    load_into(model.to(data.device), shared)
    optimiser = adamw(
        model.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
    )
    if settings.proximal:
        ProximalTerm(model, settings.proximal).attach(optimiser)
    names = ("round", round_number, data.market)
    generator = np.random.default_rng(derive_seed(seed, *names))
    with seeded(seed, *names):
        loss = train_epochs(
            model,
            data,
            _targets(data, settings),
            optimiser,
            settings.epochs,
            settings=settings,
            generator=generator,
            progress=progress,
        )
    return local_result(flatten(model) - shared, data, model.max_length, loss)


def local_result(update: FloatVector, data: PreparedMarket, max_length: int, loss: float) -> LocalResult:
    """Return an update together with how many users and targets it was trained on."""
    lengths = np.array([len(sequence) for sequence in data.split.train], dtype=np.int64)
    targets = np.clip(lengths - 1, 0, max_length)
    return LocalResult(update, int((targets > 0).sum()), int(targets.sum()), loss)


def _targets(data: PreparedMarket, settings: LocalTrainingSettings) -> SoftTargets:
    soft = data.soft if settings.loss == "s2ce" else data.hard
    return smoothed(soft, settings.label_smoothing) if settings.label_smoothing else soft
