from dataclasses import replace

import numpy as np
import torch

from fecosr.data.sequences import Split
from fecosr.recommender.model import MarketModel
from fecosr.training.evaluation import evaluate
from fecosr.training.parameters import new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.regression import GAINS, fit_regression
from fecosr.training.settings import LearningSettings


def untrained(prepared: PreparedMarket, settings: LearningSettings) -> MarketModel:
    shared = new_shared_model(settings.encoder, settings.semantics, seed=1)
    return MarketModel(shared, prepared.num_items, settings.adapter)


def test_it_helps_a_model_that_knows_nothing(prepared: PreparedMarket, settings: LearningSettings) -> None:
    model = untrained(prepared, settings)
    before = evaluate(model, prepared, "validation")
    after = fit_regression(model, prepared)
    assert after.ndcg_10 > before.ndcg_10 + 0.05
    assert evaluate(model, prepared, "validation") == after
    assert model.regression is not None


def test_the_gain_is_the_best_on_validation_users(
    prepared: PreparedMarket, settings: LearningSettings
) -> None:
    model = untrained(prepared, settings)
    best = fit_regression(model, prepared)
    regression = model.regression
    assert regression is not None
    regression.fit(prepared.split.train)
    weights = regression.weights.clone()
    for gain in (0.0, *GAINS):
        regression.weights.copy_(gain * weights)
        assert evaluate(model, prepared, "validation").ndcg_10 <= best.ndcg_10


class Oracle(MarketModel):
    """Puts every validation target first, whatever its parameters."""

    prepared: PreparedMarket

    def scores(
        self, item_inputs: torch.Tensor, sequences: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        return _first_choice(self.prepared, sequences, lengths)


def test_it_stays_silent_where_it_would_harm(prepared: PreparedMarket, settings: LearningSettings) -> None:
    shared = new_shared_model(settings.encoder, settings.semantics, seed=1)
    model = Oracle(shared, prepared.num_items, settings.adapter)
    model.prepared = prepared
    assert fit_regression(model, prepared).ndcg_10 == 1.0
    assert model.regression is not None
    assert model.regression.weights.abs().sum() == 0


def _first_choice(prepared: PreparedMarket, sequences: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return scores under which every validation target comes first."""
    split: Split = prepared.split
    wanted = {
        tuple(items[-8:]): target for items, target in zip(split.train, split.validation_target, strict=True)
    }
    scores = torch.zeros(len(sequences), prepared.num_items)
    for row, (items, length) in enumerate(zip(sequences, lengths, strict=True)):
        scores[row, wanted[tuple(items[:length].numpy().astype(np.int32))]] = 1.0
    return scores


def test_settings_can_do_without_it(prepared: PreparedMarket, settings: LearningSettings) -> None:
    model = untrained(prepared, replace(settings, adapter=replace(settings.adapter, item_regression="none")))
    before = evaluate(model, prepared, "validation")
    assert fit_regression(model, prepared) == before
    assert model.regression is None
