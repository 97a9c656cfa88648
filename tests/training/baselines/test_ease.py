"""EASE by itself scores as the closed form says, histories weighted by recency."""

from dataclasses import replace

import numpy as np
import pytest

from fecosr.recommender.settings import AdapterSettings
from fecosr.training.baselines.ease import ease_scorer
from fecosr.training.prepared import PreparedMarket


def closed_form(prepared: PreparedMarket, ridge: float) -> np.ndarray:
    """Return B of the reference, its negative weights left out."""
    held = np.zeros((len(prepared.split.train), prepared.num_items))
    for user, sequence in enumerate(prepared.split.train):
        held[user, sequence] = 1.0
    inverse = np.linalg.inv(held.T @ held + ridge * np.eye(prepared.num_items))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    positive: np.ndarray = np.clip(weights, 0.0, None)
    return positive


@pytest.mark.parametrize("max_length", [8, 3])
def test_scores_are_weights_of_the_latest_items(prepared: PreparedMarket, max_length: int) -> None:
    settings = AdapterSettings(ridge=5.0, recency=0.5)
    weights = closed_form(prepared, 5.0)
    histories = [np.array(items, np.int32) for items in ([3, 7, 3, 9], [1], [0, 2, 4, 6, 8, 10])]
    expected = np.zeros((3, prepared.num_items))
    for row, history in enumerate(histories):
        seen: set[int] = set()
        for age, item in enumerate(history[::-1][:max_length]):
            if item not in seen:
                expected[row] += 0.5**age * weights[item]
            seen.add(int(item))
    found = ease_scorer(prepared, settings, max_length)(histories)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_validation_and_test_targets_are_not_read(prepared: PreparedMarket) -> None:
    changed = replace(
        prepared, split=replace(prepared.split, test_target=np.zeros_like(prepared.split.test_target))
    )
    settings = AdapterSettings(ridge=5.0)
    history = [np.array([1, 2], np.int32)]
    np.testing.assert_array_equal(
        ease_scorer(changed, settings, 8)(history), ease_scorer(prepared, settings, 8)(history)
    )
