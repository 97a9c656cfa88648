from dataclasses import replace

import numpy as np
import pytest
import torch

from fecosr.training.epochs import EpochReport, Progress, ignore_progress
from fecosr.training.evaluation import evaluate
from fecosr.training.fine_tuning import FineTuned, fine_tune
from fecosr.training.parameters import flatten, initial_shared_vector, load_into, new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.settings import FineTuningSettings, LearningSettings


@pytest.fixture
def shared(settings: LearningSettings) -> np.ndarray:
    return initial_shared_vector(settings.encoder, settings.semantics, seed=0)


def tune(
    prepared: PreparedMarket,
    shared: np.ndarray,
    settings: LearningSettings,
    fine_tuning: FineTuningSettings,
    progress: Progress = ignore_progress,
) -> FineTuned:
    model = new_shared_model(settings.encoder, settings.semantics, seed=99)
    return fine_tune(model, shared, prepared, settings.adapter, fine_tuning, seed=3, progress=progress)


def test_it_improves_on_validation_users(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    reports: list[EpochReport] = []
    fast = replace(settings.fine_tuning, max_epochs=15, learning_rate=0.02, encoder_learning_rate=0.01)
    tuned = tune(prepared, shared, settings, fast, reports.append)
    start = reports[0].validation
    assert start is not None
    assert tuned.best_epoch > 0
    assert tuned.validation.ndcg_10 > start.ndcg_10 + 0.05
    assert evaluate(tuned.model, prepared, "validation") == tuned.validation


def test_zero_epochs_keep_the_shared_model(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    alone = replace(settings, adapter=replace(settings.adapter, item_regression="none"))
    tuned = tune(prepared, shared, alone, replace(settings.fine_tuning, max_epochs=0))
    model = new_shared_model(settings.encoder, settings.semantics, seed=99)
    load_into(model, shared)
    assert tuned.best_epoch == 0
    assert evaluate(tuned.model, prepared, "test") == evaluate(model, prepared, "test")


def test_a_frozen_encoder_stays_as_it_came(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    frozen = replace(settings.fine_tuning, encoder="frozen", learning_rate=0.05, max_epochs=6, patience=6)
    tuned = tune(prepared, shared, settings, frozen)
    np.testing.assert_array_equal(flatten(tuned.model.shared), shared)
    assert tuned.best_epoch > 0
    assert tuned.model.adapter.local_items.abs().max() > 0.0


def test_a_slow_encoder_moves_less_than_the_adapter(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    slow = replace(settings.fine_tuning, learning_rate=0.05, encoder_learning_rate=0.0005)
    tuned = tune(prepared, shared, settings, slow)
    assert tuned.best_epoch > 0
    moved = np.abs(flatten(tuned.model.shared) - shared).max()
    assert 0.0 < moved < float(tuned.model.adapter.local_items.detach().abs().max()) / 2


def test_equal_arguments_give_an_equal_model(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    first = tune(prepared, shared, settings, settings.fine_tuning)
    torch.manual_seed(4)
    second = tune(prepared, shared, settings, settings.fine_tuning)
    np.testing.assert_array_equal(flatten(first.model), flatten(second.model))


def test_low_rank_changes_are_fine_tuned_with_the_adapter(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    low_rank = replace(settings, adapter=replace(settings.adapter, lora_rank=2))
    frozen = replace(settings.fine_tuning, encoder="frozen", learning_rate=0.05, max_epochs=6, patience=6)
    tuned = tune(prepared, shared, low_rank, frozen)
    assert tuned.best_epoch > 0
    np.testing.assert_array_equal(flatten(tuned.model.shared), shared)
    assert all(value.detach().abs().max() > 0.0 for value in tuned.model.low_rank.parameters())
