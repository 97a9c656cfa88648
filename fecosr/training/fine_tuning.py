"""After the last round: make the shared model this market's own. Nothing of this leaves the market."""

from dataclasses import dataclass, field, replace

import numpy as np
from torch.optim import AdamW

from fecosr.recommender.metrics import RankingMetrics
from fecosr.recommender.model import MarketModel, SharedModel
from fecosr.recommender.settings import AdapterSettings
from fecosr.training.epochs import Progress, ignore_progress, train_until_best
from fecosr.training.optimisers import adamw
from fecosr.training.parameters import FloatVector, load_into
from fecosr.training.prepared import PreparedMarket
from fecosr.training.regression import fit_regression
from fecosr.training.seeds import derive_seed, seeded
from fecosr.training.settings import FineTuningSettings


@dataclass(frozen=True, slots=True, eq=False)
class FineTuned:
    """Hold a market's own model, and how it was chosen.

    Attributes:
        model: with the parameters of the best epoch.
        best_epoch: 0 where the shared model was best left as it was.
        validation: its metrics on the market's validation targets, by which epoch and gain were chosen.
    """

    model: MarketModel = field(repr=False)
    best_epoch: int
    validation: RankingMetrics


def fine_tune(
    model: SharedModel,
    shared: FloatVector,
    data: PreparedMarket,
    adapter: AdapterSettings,
    settings: FineTuningSettings,
    *,
    seed: int,
    progress: Progress = ignore_progress,
) -> FineTuned:
    """Return the shared model fine-tuned to one market with plain cross-entropy and early stopping.

    Where `adapter` wants it, the market's item regression is fitted afterwards, to the same validation users.

    Args:
        model: becomes part of the result; its parameters are overwritten.
        shared: float32 [P], the final shared parameters.
        data: the market.
        adapter: of the market model.
        settings: of fine-tuning.
        seed: of the run; with the market's name it fixes everything random.
        progress: called before the first epoch and after each.

    Guarantees:
        On validation NDCG@10 the result is at least as good as the shared model.
    """
    tuned = train_adapter(model, shared, data, adapter, settings, seed=seed, progress=progress)
    return replace(tuned, validation=fit_regression(tuned.model, data))


def train_adapter(
    model: SharedModel,
    shared: FloatVector,
    data: PreparedMarket,
    adapter: AdapterSettings,
    settings: FineTuningSettings,
    *,
    seed: int,
    progress: Progress = ignore_progress,
) -> FineTuned:
    """Return what `fine_tune` does, but for the item regression; in a shard, with its rows of the table."""
    load_into(model, shared)
    names = ("fine-tuning", data.market)
    with seeded(seed, *names):
        market_model = MarketModel(model, len(data.semantics), adapter).to(data.device)
        best_epoch, validation = train_until_best(
            market_model,
            data,
            _optimiser(market_model, settings),
            settings=settings,
            generator=np.random.default_rng(derive_seed(seed, *names)),
            progress=progress,
        )
    return FineTuned(market_model, best_epoch, validation)


def _optimiser(model: MarketModel, settings: FineTuningSettings) -> AdamW:
    own = [*model.adapter.parameters(), *model.low_rank.parameters()]
    groups = [{"params": own, "lr": settings.learning_rate}]
    if settings.encoder == "slow":
        groups.append({"params": list(model.shared.parameters()), "lr": settings.encoder_learning_rate})
    else:
        model.shared.requires_grad_(requires_grad=False)
    return adamw(groups, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)
