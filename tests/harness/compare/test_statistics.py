"""Intervals against scipy's bootstrap and a slow one of our own; gains against the metrics of the library."""

import numpy as np
import pytest
from scipy import stats

from fecosr.harness.compare import statistics
from fecosr.harness.compare.statistics import (
    METRICS,
    Difference,
    bootstrap_means,
    gains,
    interval,
    mean_gains,
)
from fecosr.recommender.metrics import metrics_of_ranks


def random_ranks(seed: int, users: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 60, size=users).astype(np.int32)


def test_mean_gains_are_the_metrics() -> None:
    ranks = random_ranks(0)
    expected = metrics_of_ranks(ranks.astype(np.int64))
    assert METRICS == ("hr@10", "ndcg@10", "mrr")
    np.testing.assert_allclose(gains(ranks).mean(axis=0), [expected.hr_10, expected.ndcg_10, expected.mrr])


def test_gains_are_averaged_over_seeds_user_by_user() -> None:
    first, second = random_ranks(1), random_ranks(2)
    both = mean_gains([first, second])
    np.testing.assert_allclose(both, (gains(first) + gains(second)) / 2)
    assert both.shape == (200, 3)


def test_resampled_means_are_means_of_drawn_users(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).normal(size=(37, 4))
    # Three resamples at a time: the blocks must not show.
    monkeypatch.setattr(statistics, "_BLOCK_COUNTS", 3 * 37)
    found = bootstrap_means(values, 11, np.random.default_rng(4))
    generator = np.random.default_rng(4)
    drawn = np.concatenate([generator.integers(37, size=(rows, 37)) for rows in (3, 3, 3, 2)])
    np.testing.assert_allclose(found, np.stack([values[users].mean(axis=0) for users in drawn]))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_intervals_are_those_of_scipy(seed: int) -> None:
    ours, theirs = gains(random_ranks(10 + seed)), gains(random_ranks(20 + seed))
    differences = ours[:, 1] - theirs[:, 1]
    resampled = bootstrap_means(differences[:, None], 20_000, np.random.default_rng(seed))[:, 0]
    found = interval(float(differences.mean()), resampled)
    expected = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=20_000,
        confidence_level=0.95,
        method="percentile",
        rng=np.random.default_rng(99),
    ).confidence_interval
    width = expected.high - expected.low
    assert found.mean == pytest.approx(differences.mean())
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(300):
        values = generator.exponential(size=(80, 1)) - 1.0
        found = interval(float(values.mean()), bootstrap_means(values, 400, generator)[:, 0])
        covered += found.low <= 0.0 <= found.high
    assert 0.88 < covered / 300 < 0.98


def test_equal_methods_differ_by_nothing_and_by_no_width() -> None:
    found = interval(0.0, bootstrap_means(np.zeros((50, 1)), 100, np.random.default_rng(0))[:, 0])
    assert found == Difference(0.0, 0.0, 0.0)
    assert not found.is_above
    assert not found.is_below


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [(0.1, 0.3, True, False), (-0.3, -0.1, False, True), (-0.1, 0.1, False, False), (0.0, 0.2, False, False)],
)
def test_significance_is_an_interval_without_zero(low: float, high: float, above: bool, below: bool) -> None:
    difference = Difference((low + high) / 2, low, high)
    assert (difference.is_above, difference.is_below) == (above, below)
