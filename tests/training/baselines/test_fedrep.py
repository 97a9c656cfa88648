"""FedRep's head stays, its representation moves, and never both in one step."""

import numpy as np
import pytest
import torch

from fecosr.recommender.model import MarketModel
from fecosr.training import epochs
from fecosr.training.baselines.fedrep import train_head_then_representation
from fecosr.training.local import LocalResult
from fecosr.training.parameters import FloatVector, flatten, initial_shared_vector, new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.settings import LearningSettings


@pytest.fixture
def shared(settings: LearningSettings) -> FloatVector:
    return initial_shared_vector(settings.encoder, settings.semantics, 7)


@pytest.fixture
def model(prepared: PreparedMarket, settings: LearningSettings) -> MarketModel:
    scratch = new_shared_model(settings.encoder, settings.semantics, seed=99)
    return MarketModel(scratch, prepared.num_items, settings.adapter)


def train(
    model: MarketModel,
    prepared: PreparedMarket,
    settings: LearningSettings,
    shared: FloatVector,
    head_epochs: int = 1,
) -> LocalResult:
    return train_head_then_representation(
        model,
        prepared,
        shared,
        settings.local_training,
        head_epochs=head_epochs,
        seed=7,
        round_number=1,
    )


def test_the_update_is_that_of_the_representation_alone(
    model: MarketModel, prepared: PreparedMarket, settings: LearningSettings, shared: FloatVector
) -> None:
    result = train(model, prepared, settings, shared)
    assert result.update.shape == shared.shape
    np.testing.assert_array_equal(result.update, flatten(model.shared) - shared)
    assert result.num_users == 60
    assert result.loss > 0


def test_the_head_is_trained_first_and_then_left_alone(
    model: MarketModel,
    prepared: PreparedMarket,
    settings: LearningSettings,
    shared: FloatVector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[bool, bool, FloatVector, FloatVector]] = []
    real = epochs.train_epoch

    def watched(*arguments: object, **options: object) -> float:
        trains = [
            any(value.requires_grad for value in part.parameters()) for part in (model.adapter, model.shared)
        ]
        before = flatten(model.adapter), flatten(model.shared)
        loss = real(*arguments, **options)  # type: ignore[arg-type]
        moved = [
            not np.array_equal(old, flatten(part))
            for old, part in zip(before, (model.adapter, model.shared), strict=True)
        ]
        assert moved == trains
        seen.append((trains[0], trains[1], *before))
        return loss

    monkeypatch.setattr(epochs, "train_epoch", watched)
    train(model, prepared, settings, shared, head_epochs=3)
    assert [(head, body) for head, body, _, _ in seen] == 3 * [(True, False)] + 2 * [(False, True)]
    np.testing.assert_array_equal(seen[0][3], shared)
    assert all(value.requires_grad for value in model.parameters())


def test_the_head_outlives_the_round(
    model: MarketModel, prepared: PreparedMarket, settings: LearningSettings, shared: FloatVector
) -> None:
    train(model, prepared, settings, shared)
    head = model.adapter.local_items.detach().clone()
    assert head.abs().max() > 0
    first = train(model, prepared, settings, shared).update
    assert not torch.equal(model.adapter.local_items, head)
    with torch.no_grad():
        model.adapter.local_items.zero_()
    assert not np.array_equal(train(model, prepared, settings, shared).update, first)
