"""Local: the very same market model, trained on one market alone. What FeCoSR has to be better than."""

import numpy as np

from fecosr.recommender.model import MarketModel, SharedModel
from fecosr.recommender.settings import AdapterSettings, EncoderSettings
from fecosr.training.epochs import Progress, ignore_progress, train_until_best
from fecosr.training.fine_tuning import FineTuned
from fecosr.training.optimisers import adamw
from fecosr.training.prepared import PreparedMarket
from fecosr.training.regression import fit_regression
from fecosr.training.schedule import follow_schedule
from fecosr.training.seeds import derive_seed, seeded
from fecosr.training.settings import LocalBaselineSettings


def train_alone(
    data: PreparedMarket,
    encoder: EncoderSettings,
    adapter: AdapterSettings,
    settings: LocalBaselineSettings,
    *,
    seed: int,
    progress: Progress = ignore_progress,
) -> FineTuned:
    """Return a market model trained from a random start with cross-entropy and early stopping.

    It has the semantics, adapter, item embedding and item regression that FeCoSR has: only the other markets
    are missing.
    """
    names = ("alone", data.market)
    with seeded(seed, *names):
        shared = SharedModel(encoder, data.semantics.shape[1])
        model = MarketModel(shared, data.num_items, adapter).to(data.device)
        optimiser = adamw(
            model.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
        )
        follow_schedule(optimiser, settings, data)
        generator = np.random.default_rng(derive_seed(seed, *names))
        best_epoch, _ = train_until_best(
            model, data, optimiser, settings=settings, generator=generator, progress=progress
        )
    return FineTuned(model, best_epoch, fit_regression(model, data))
