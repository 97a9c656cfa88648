from dataclasses import replace

import numpy as np
import pytest
import torch

from fecosr.data.sequences import MarketSequences
from fecosr.training.baselines.popularity import evaluate_popularity
from fecosr.training.baselines.sasrec import TrainedSASRec, train_sasrec
from fecosr.training.evaluation import evaluate
from fecosr.training.parameters import flatten
from fecosr.training.prepared import PreparedMarket, prepare_without_semantics
from fecosr.training.settings import LearningSettings


@pytest.fixture
def by_number(market: MarketSequences) -> PreparedMarket:
    return prepare_without_semantics(market)


def trained(data: PreparedMarket, settings: LearningSettings, seed: int) -> TrainedSASRec:
    return train_sasrec(data, settings.encoder, settings.local_baseline, seed=seed)


def test_it_learns_more_than_popularity(by_number: PreparedMarket, settings: LearningSettings) -> None:
    result = trained(by_number, settings, seed=0)
    assert result.best_epoch > 0
    assert result.validation == evaluate(result.model, by_number, "validation")
    learned = evaluate(result.model, by_number, "test")
    assert learned.ndcg_10 > evaluate_popularity(by_number, "test").ndcg_10 + 0.05


def test_it_reads_no_semantics(
    by_number: PreparedMarket, prepared: PreparedMarket, settings: LearningSettings
) -> None:
    assert by_number.semantics.shape == (24, 0)
    first, second = (flatten(trained(data, settings, seed=0).model) for data in (by_number, prepared))
    np.testing.assert_array_equal(first, second)


def test_it_depends_on_the_seed_alone(by_number: PreparedMarket, settings: LearningSettings) -> None:
    first = flatten(trained(by_number, settings, seed=0).model)
    torch.manual_seed(4)
    np.testing.assert_array_equal(flatten(trained(by_number, settings, seed=0).model), first)
    assert not np.array_equal(flatten(trained(by_number, settings, seed=1).model), first)


def test_test_targets_play_no_part_in_training(by_number: PreparedMarket, settings: LearningSettings) -> None:
    split = by_number.split
    other = replace(by_number, split=replace(split, test_target=(split.test_target + 1) % 24))
    first, second = (flatten(trained(data, settings, seed=0).model) for data in (by_number, other))
    np.testing.assert_array_equal(first, second)


def test_the_market_models_regression_can_be_added(
    by_number: PreparedMarket, settings: LearningSettings
) -> None:
    plain = trained(by_number, settings, seed=0)
    model = train_sasrec(
        by_number, settings.encoder, settings.local_baseline, seed=0, adapter=settings.adapter
    )
    assert plain.model.regression is None
    assert model.model.regression is not None
    np.testing.assert_array_equal(flatten(model.model), flatten(plain.model))
    assert model.validation == evaluate(model.model, by_number, "validation")
    assert model.validation.ndcg_10 >= plain.validation.ndcg_10
