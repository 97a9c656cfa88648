from dataclasses import replace

import numpy as np
import pytest
import torch

from fecosr.errors import MisuseError
from fecosr.training.epochs import EpochReport
from fecosr.training.local import LocalResult, train_locally
from fecosr.training.parameters import flatten, initial_shared_vector, new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.settings import LearningSettings


@pytest.fixture
def shared(settings: LearningSettings) -> np.ndarray:
    return initial_shared_vector(settings.encoder, settings.semantics, seed=0)


def train(
    prepared: PreparedMarket,
    shared: np.ndarray,
    settings: LearningSettings,
    *,
    seed: int = 7,
    round_number: int = 1,
) -> LocalResult:
    scratch = new_shared_model(settings.encoder, settings.semantics, seed=99)
    return train_locally(
        scratch, prepared, shared, settings.local_training, seed=seed, round_number=round_number
    )


def test_the_update_is_trained_minus_shared(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    model = new_shared_model(settings.encoder, settings.semantics, seed=99)
    before = shared.copy()
    result = train_locally(model, prepared, shared, settings.local_training, seed=7, round_number=1)
    assert result.update.dtype == np.float32
    np.testing.assert_array_equal(result.update, flatten(model) - shared)
    np.testing.assert_array_equal(shared, before)
    assert np.linalg.norm(result.update) > 0.01


def test_equal_arguments_give_an_equal_update(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    first = train(prepared, shared, settings)
    torch.manual_seed(12345)
    second = train(prepared, shared, settings)
    np.testing.assert_array_equal(first.update, second.update)
    assert first.loss == second.loss


def test_seed_round_and_market_each_make_a_difference(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    first = train(prepared, shared, settings).update
    assert not np.array_equal(train(prepared, shared, settings, seed=8).update, first)
    assert not np.array_equal(train(prepared, shared, settings, round_number=2).update, first)
    assert not np.array_equal(train(replace(prepared, market="other"), shared, settings).update, first)


def test_several_rounds_alone_decrease_the_loss(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    losses = []
    for round_number in range(1, 7):
        result = train(prepared, shared, settings, round_number=round_number)
        shared = shared + result.update
        losses.append(result.loss)
    assert losses[-1] < losses[0] - 0.3


def test_users_and_targets_are_counted(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    result = train(prepared, shared, settings)
    lengths = [len(items) for items in prepared.split.train]
    assert result.num_users == 60
    assert result.num_targets == sum(min(length - 1, 8) for length in lengths)


def test_the_loss_setting_decides_between_soft_and_hard_targets(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    hard = replace(settings, local_training=replace(settings.local_training, loss="ce"))
    same_targets = replace(prepared, soft=prepared.hard)
    plain = train(prepared, shared, hard).update
    np.testing.assert_array_equal(train(same_targets, shared, settings).update, plain)
    assert not np.array_equal(train(prepared, shared, settings).update, plain)


def test_progress_is_reported_after_each_epoch(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    reports: list[EpochReport] = []
    model = new_shared_model(settings.encoder, settings.semantics, seed=99)
    train_locally(
        model, prepared, shared, settings.local_training, seed=7, round_number=1, progress=reports.append
    )
    assert [(report.epoch, report.max_epochs) for report in reports] == [(1, 2), (2, 2)]


def test_parameters_of_another_model_are_refused(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    with pytest.raises(MisuseError, match="parameters"):
        train(prepared, shared[:-1], settings)


def test_the_proximal_term_keeps_the_update_small(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    def length(proximal: float) -> float:
        local = replace(settings.local_training, epochs=6, proximal=proximal)
        update = train(prepared, shared, replace(settings, local_training=local)).update
        return float(np.linalg.norm(update))

    assert length(10.0) < 0.7 * length(0.0)


def test_label_smoothing_is_part_of_either_loss(
    prepared: PreparedMarket, shared: np.ndarray, settings: LearningSettings
) -> None:
    for loss in ("ce", "s2ce"):
        plain = replace(settings.local_training, loss=loss)
        runs = [
            train(prepared, shared, replace(settings, local_training=replace(plain, label_smoothing=share)))
            for share in (0.0, 0.3)
        ]
        assert not np.array_equal(runs[0].update, runs[1].update)
        # What is spread over all items cannot be learned: more of the loss remains.
        assert runs[1].loss > runs[0].loss
