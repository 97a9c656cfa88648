from dataclasses import replace

import numpy as np
import pytest
import torch

from fecosr.recommender.item_regression import ItemRegression, item_regression
from fecosr.recommender.model import MarketModel
from fecosr.recommender.settings import AdapterSettings

NUM_ITEMS = 12
SETTINGS = AdapterSettings(ridge=2.0, recency=0.5, regression_neighbours=NUM_ITEMS)


@pytest.fixture
def sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [rng.integers(NUM_ITEMS, size=rng.integers(2, 6)).astype(np.int32) for _ in range(40)]


def table(neighbours: torch.Tensor, weights: torch.Tensor) -> np.ndarray:
    """Return the dense table, [V, V]."""
    dense = torch.zeros(len(weights), len(weights), dtype=weights.dtype)
    return dense.scatter_add(1, neighbours, weights).numpy()


def test_each_column_is_the_constrained_ridge_regression_of_one_item(sequences: list[np.ndarray]) -> None:
    """Solved item by item with the item itself left out, which is what the closed form claims to do."""
    found = table(*item_regression(sequences, NUM_ITEMS, SETTINGS))
    x = np.zeros((len(sequences), NUM_ITEMS))
    for user, sequence in enumerate(sequences):
        x[user, sequence] = 1.0
    for item in range(NUM_ITEMS):
        others = np.delete(np.arange(NUM_ITEMS), item)
        gram = x[:, others].T @ x[:, others] + SETTINGS.ridge * np.eye(len(others))
        expected = np.linalg.solve(gram, x[:, others].T @ x[:, item])
        np.testing.assert_allclose(found[others, item], np.maximum(expected, 0.0), atol=1e-5)
        assert found[item, item] == 0.0


def test_the_strongest_neighbours_are_kept(sequences: list[np.ndarray]) -> None:
    whole = table(*item_regression(sequences, NUM_ITEMS, SETTINGS))
    neighbours, weights = item_regression(sequences, NUM_ITEMS, replace(SETTINGS, regression_neighbours=3))
    np.testing.assert_allclose(weights.numpy(), -np.sort(-whole, axis=1)[:, :3], atol=1e-7)
    np.testing.assert_allclose(np.take_along_axis(whole, neighbours.numpy(), 1), weights.numpy(), atol=1e-7)


def test_only_the_items_with_most_users_take_part() -> None:
    sequences = [np.array([0, 5, 7], np.int32)] * 3 + [np.array([5, 7], np.int32)]
    found = table(*item_regression(sequences, NUM_ITEMS, replace(SETTINGS, regression_items=2)))
    assert found[5, 7] > 0.0
    assert np.count_nonzero(found) == 2


def test_more_neighbours_than_items_are_padded_with_nothing(sequences: list[np.ndarray]) -> None:
    wide = replace(SETTINGS, regression_neighbours=NUM_ITEMS + 5)
    neighbours, weights = item_regression(sequences, NUM_ITEMS, wide)
    assert neighbours.shape == weights.shape == (NUM_ITEMS, NUM_ITEMS + 5)
    assert weights[:, NUM_ITEMS:].abs().sum() == 0
    np.testing.assert_allclose(
        table(neighbours, weights), table(*item_regression(sequences, NUM_ITEMS, SETTINGS))
    )


def test_a_history_counts_less_the_older_it_is_and_each_item_once(sequences: list[np.ndarray]) -> None:
    regression = ItemRegression(NUM_ITEMS, SETTINGS)
    regression.fit(sequences)
    dense = table(regression.neighbours, regression.weights)
    histories = torch.tensor([[3, 8, 3, 1], [6, 2, 0, 0]])
    scores = regression(histories, torch.tensor([4, 2]))
    expected = [dense[1] + 0.5 * dense[3] + 0.25 * dense[8], dense[2] + 0.5 * dense[6]]
    np.testing.assert_allclose(scores.numpy(), np.stack(expected), atol=1e-6)


def test_it_says_nothing_before_it_is_fitted() -> None:
    assert ItemRegression(NUM_ITEMS, SETTINGS)(torch.tensor([[1, 2]]), torch.tensor([2])).abs().sum() == 0


def test_a_market_model_adds_it_to_its_logits(market_model: MarketModel, semantics: torch.Tensor) -> None:
    items, sequences, lengths = market_model.item_inputs(semantics), torch.tensor([[1, 4]]), torch.tensor([2])
    before = market_model.scores(items, sequences, lengths)
    regression = market_model.attach_regression()
    assert regression is not None
    regression.fit([np.array([1, 9], np.int32)] * 5)
    added = market_model.scores(items, sequences, lengths) - before
    torch.testing.assert_close(added, regression(sequences, lengths))
    assert added[0, 9] > 0


def test_settings_can_do_without_it(market_model: MarketModel) -> None:
    market_model.settings = replace(market_model.settings, item_regression="none")
    assert market_model.attach_regression() is None
