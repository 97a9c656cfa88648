import math

import numpy as np
import pytest

from fecosr.errors import MisuseError
from fecosr.recommender.metrics import metrics_of_ranks, target_ranks


def brute_force_rank(scores: list[float], target: int, seen: set[int]) -> int:
    rank = 1
    for item, score in enumerate(scores):
        if item != target and item not in seen and score >= scores[target]:
            rank += 1
    return rank


def test_ranks_agree_with_counting_one_by_one() -> None:
    rng = np.random.default_rng(0)
    # Few distinct scores, so that there are many ties.
    scores = rng.integers(0, 6, size=(50, 30)).astype(np.float32)
    targets = rng.integers(0, 30, size=50)
    histories = [rng.integers(0, 30, size=rng.integers(0, 12)).astype(np.int32) for _ in range(50)]
    expected = [
        brute_force_rank(row.tolist(), int(target), set(seen.tolist()))
        for row, target, seen in zip(scores, targets, histories, strict=True)
    ]
    assert target_ranks(scores, targets, histories).tolist() == expected
    unfiltered = [
        brute_force_rank(row.tolist(), int(target), set())
        for row, target in zip(scores, targets, strict=True)
    ]
    assert target_ranks(scores, targets, None).tolist() == unfiltered


def test_a_model_without_an_opinion_ranks_last() -> None:
    assert target_ranks(np.zeros((1, 12), np.float32), np.array([4]), None).tolist() == [12]


def test_a_target_that_was_seen_before_is_still_ranked() -> None:
    scores = np.array([[3.0, 2.0, 1.0]], np.float32)
    assert target_ranks(scores, np.array([1]), [np.array([0, 1], np.int32)]).tolist() == [1]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_scores_that_are_not_finite_are_refused(score: float) -> None:
    scores = np.array([[1.0, score, 2.0]], np.float32)
    with pytest.raises(MisuseError, match="finite"):
        target_ranks(scores, np.array([0]), None)


def test_metrics_agree_with_their_formulas() -> None:
    ranks = [1, 2, 10, 11, 500]
    metrics = metrics_of_ranks(np.array(ranks))
    assert metrics.num_users == 5
    assert metrics.hr_10 == pytest.approx(3 / 5)
    assert metrics.ndcg_10 == pytest.approx(sum(1 / math.log2(1 + rank) for rank in ranks[:3]) / 5)
    assert metrics.mrr == pytest.approx(sum(1 / rank for rank in ranks) / 5)


def test_a_market_without_evaluated_users_has_zero_metrics() -> None:
    metrics = metrics_of_ranks(np.array([], np.int64))
    assert (metrics.num_users, metrics.hr_10, metrics.ndcg_10, metrics.mrr) == (0, 0.0, 0.0, 0.0)
