"""Cosine and dissimilarity against loops over pairs."""

import math
from itertools import combinations

import numpy as np
import pytest

from fecosr.harness.compare.heterogeneity import dissimilarity, mean_pairwise_cosine, measure_round


def test_the_cosine_is_the_mean_over_pairs() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 30))
    expected = np.mean(
        [a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in combinations(list(vectors), 2)]
    )
    assert mean_pairwise_cosine(vectors) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rows", "cosine", "ratio"),
    [
        ([[1.0, 2.0], [2.0, 4.0]], 1.0, 2.5 / 2.25),
        ([[1.0, 0.0], [0.0, 1.0]], 0.0, 2.0),
        ([[1.0, 0.0], [-1.0, 0.0]], -1.0, math.inf),
        ([[0.0, 0.0], [1.0, 0.0]], 0.0, 2.0),
        ([[0.0, 0.0], [0.0, 0.0]], 0.0, 1.0),
        ([[3.0, 1.0]], 1.0, 1.0),
    ],
)
def test_known_cases(rows: list[list[float]], cosine: float, ratio: float) -> None:
    vectors = np.array(rows)
    assert mean_pairwise_cosine(vectors) == pytest.approx(cosine)
    assert dissimilarity(vectors) == pytest.approx(ratio)


def test_the_loss_of_a_round_is_weighted_and_the_markets_are_not() -> None:
    updates = {"a": np.array([3.0, 4.0], np.float32), "b": np.array([0.0, 1.0], np.float32)}
    measured = measure_round(4, updates, {"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 6.0})
    assert measured.round == 4
    assert measured.loss == pytest.approx(5.0)
    assert measured.update_norm == pytest.approx(3.0)
    assert measured.cosine == pytest.approx(0.8)
    assert measured.dissimilarity == pytest.approx(13.0 / (1.5**2 + 2.5**2))
