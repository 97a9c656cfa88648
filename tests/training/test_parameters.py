from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from fecosr.errors import MisuseError
from fecosr.recommender.model import SharedModel
from fecosr.training.parameters import (
    flatten,
    initial_shared_vector,
    layout_of,
    load_into,
    new_shared_model,
)
from fecosr.training.settings import LearningSettings


@pytest.fixture
def model(settings: LearningSettings) -> SharedModel:
    return new_shared_model(settings.encoder, settings.semantics, seed=1)


def test_a_vector_goes_through_a_module_unchanged(model: SharedModel) -> None:
    vector = np.random.default_rng(0).normal(size=layout_of(model).num_parameters).astype(np.float32)
    load_into(model, vector)
    np.testing.assert_array_equal(flatten(model), vector)


def test_the_layout_names_every_parameter_in_order() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    layout = layout_of(module)
    assert layout.parts == (("0.weight", (3, 2)), ("0.bias", (3,)), ("1.weight", (3,)), ("1.bias", (3,)))
    assert layout.num_parameters == 15
    load_into(module, np.arange(15, dtype=np.float32))
    values = dict(module.named_parameters())
    assert values["0.weight"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert values["1.bias"].tolist() == [12, 13, 14]


def test_flattening_copies(model: SharedModel) -> None:
    vector = flatten(model)
    before = vector.copy()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    np.testing.assert_array_equal(vector, before)
    load_into(model, vector)
    vector += 1.0
    np.testing.assert_array_equal(flatten(model), before)


def test_a_read_only_vector_can_be_loaded(model: SharedModel) -> None:
    vector = flatten(model)
    vector.setflags(write=False)
    load_into(model, vector)


def shorter(good: np.ndarray) -> np.ndarray:
    return good[:-1]


def longer(good: np.ndarray) -> np.ndarray:
    return np.append(good, np.float32(0))


def doubles(good: np.ndarray) -> np.ndarray:
    return good.astype(np.float64)


def matrix(good: np.ndarray) -> np.ndarray:
    return good[None]


def with_nan(good: np.ndarray) -> np.ndarray:
    return np.append(np.float32("nan"), good[1:])


def with_infinity(good: np.ndarray) -> np.ndarray:
    return np.append(good[:-1], np.float32("inf"))


@pytest.mark.parametrize("spoil", [shorter, longer, doubles, matrix, with_nan, with_infinity])
def test_an_unusable_vector_is_refused_and_changes_nothing(
    model: SharedModel, spoil: Callable[[np.ndarray], np.ndarray]
) -> None:
    good = flatten(model)
    with pytest.raises(MisuseError):
        load_into(model, spoil(good))
    np.testing.assert_array_equal(flatten(model), good)


def test_all_markets_start_from_the_same_vector(settings: LearningSettings) -> None:
    first = initial_shared_vector(settings.encoder, settings.semantics, seed=1)
    torch.manual_seed(99)
    np.testing.assert_array_equal(initial_shared_vector(settings.encoder, settings.semantics, seed=1), first)
    other = initial_shared_vector(settings.encoder, settings.semantics, seed=2)
    assert other.shape == first.shape
    assert not np.array_equal(other, first)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
