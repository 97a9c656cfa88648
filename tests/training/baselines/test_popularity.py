import numpy as np

from fecosr.training.baselines.popularity import evaluate_popularity, popularity_scorer
from fecosr.training.prepared import PreparedMarket


def test_scores_count_the_training_part_alone(prepared: PreparedMarket) -> None:
    scores = popularity_scorer(prepared)([np.array([1], np.int32), np.array([2, 3], np.int32)])
    counts = [0] * 24
    for items in prepared.split.train:
        for item in items.tolist():
            counts[item] += 1
    assert scores.tolist() == [counts, counts]


def test_metrics_agree_with_ranking_one_user_at_a_time(prepared: PreparedMarket) -> None:
    counts = popularity_scorer(prepared)([np.array([0], np.int32)])[0]
    hits = 0
    for user in prepared.split.evaluated_users:
        seen = {*prepared.split.train[user].tolist(), int(prepared.split.validation_target[user])}
        target = int(prepared.split.test_target[user])
        better = [v for v in range(24) if v != target and v not in seen and counts[v] >= counts[target]]
        hits += len(better) < 10
    metrics = evaluate_popularity(prepared, "test")
    assert metrics.num_users == 60
    assert metrics.hr_10 == hits / 60
