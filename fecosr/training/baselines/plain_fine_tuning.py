"""Fine-tuning without an adapter: the shared model itself goes on with one market's sequences."""

import numpy as np

from fecosr.recommender.model import SharedModel
from fecosr.training.epochs import Progress, ignore_progress, train_until_best
from fecosr.training.optimisers import adamw
from fecosr.training.parameters import FloatVector, load_into
from fecosr.training.prepared import PreparedMarket
from fecosr.training.seeds import derive_seed, seeded
from fecosr.training.settings import FineTuningSettings


def fine_tune_shared(
    model: SharedModel,
    shared: FloatVector,
    data: PreparedMarket,
    settings: FineTuningSettings,
    *,
    seed: int,
    progress: Progress = ignore_progress,
) -> SharedModel:
    """Return `model`, trained from `shared` with cross-entropy and early stopping.

    Args:
        model: its parameters are overwritten.
        shared: float32 [P], the final shared parameters.
        data: the market.
        settings: of fine-tuning; everything here is trained at `encoder_learning_rate`, even where FeCoSR
            would leave the encoder frozen, because there is nothing else to train.
        seed: of the run.
        progress: called before the first epoch and after each.
    """
    load_into(model, shared)
    names = ("plain fine-tuning", data.market)
    optimiser = adamw(
        model.parameters(), learning_rate=settings.encoder_learning_rate, weight_decay=settings.weight_decay
    )
    with seeded(seed, *names):
        train_until_best(
            model,
            data,
            optimiser,
            settings=settings,
            generator=np.random.default_rng(derive_seed(seed, *names)),
            progress=progress,
        )
    return model
