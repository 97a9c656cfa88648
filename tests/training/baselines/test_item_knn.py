import math
from dataclasses import replace

import numpy as np
import pytest

from fecosr.training.baselines.item_knn import co_occurrences, evaluate_item_knn, item_knn_scorer
from fecosr.training.baselines.popularity import evaluate_popularity
from fecosr.training.prepared import PreparedMarket


def cosine(users: list[set[int]], i: int, j: int) -> float:
    together = sum(i in items and j in items for items in users)
    alone = sum(i in items for items in users) * sum(j in items for items in users)
    return together / math.sqrt(alone) if together and i != j else 0.0


def test_scores_agree_with_counting_one_pair_at_a_time(prepared: PreparedMarket) -> None:
    users = [set(items.tolist()) for items in prepared.split.train]
    histories = [np.array([3], np.int32), np.array([5, 9, 5, 23], np.int32)]
    scores = item_knn_scorer(prepared)(histories)
    for history, row in zip(histories, scores, strict=True):
        for j in range(24):
            expected = sum(cosine(users, i, j) for i in set(history.tolist()))
            assert row[j] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("num_neighbours", [1, 3, 100])
def test_only_the_nearest_count_and_ties_go_to_the_lower_number(
    prepared: PreparedMarket, num_neighbours: int
) -> None:
    users = [set(items.tolist()) for items in prepared.split.train]
    near = co_occurrences(prepared.split.train, 24, num_neighbours)
    for i in range(24):
        others = [j for j in range(24) if cosine(users, i, j) > 0.0]
        nearest = sorted(others, key=lambda j: (-cosine(users, i, j), j))[:num_neighbours]
        found = near.items[near.starts[i] : near.starts[i + 1]]
        assert found.tolist() == nearest


def test_metrics_agree_with_ranking_one_user_at_a_time(prepared: PreparedMarket) -> None:
    hits = 0
    for user in prepared.split.evaluated_users:
        history = prepared.split.test_histories[user]
        scores = item_knn_scorer(prepared)([history])[0]
        target = int(prepared.split.test_target[user])
        unseen = set(range(24)) - set(history.tolist()) - {target}
        hits += sum(scores[j] >= scores[target] for j in unseen) < 10
    metrics = evaluate_item_knn(prepared, "test")
    assert metrics.hr_10 == hits / 60
    assert metrics.ndcg_10 > evaluate_popularity(prepared, "test").ndcg_10


def test_items_that_nobody_shares_have_no_neighbours() -> None:
    near = co_occurrences([np.array([0, 0], np.int32), np.array([2], np.int32)], 4)
    assert near.starts.tolist() == [0, 0, 0, 0, 0]
    assert near.items.size == 0


def test_validation_and_test_targets_are_not_counted(prepared: PreparedMarket) -> None:
    split = prepared.split
    nobody = np.zeros_like(split.test_target)
    changed = replace(prepared, split=replace(split, validation_target=nobody, test_target=nobody))
    history = [split.train[0]]
    np.testing.assert_array_equal(item_knn_scorer(changed)(history), item_knn_scorer(prepared)(history))
