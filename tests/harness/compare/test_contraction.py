"""The contraction of soft targets against dense matrices."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from fecosr.harness.compare import contraction
from fecosr.harness.compare.contraction import (
    contraction_of,
    dense_rows,
    dobrushin,
    measure_contraction,
    spread,
    target_shares,
)
from fecosr.harness.compare.pooling import union_catalogue
from fecosr.harness.compare.study import Study
from fecosr.recommender.soft_targets import SoftTargets, hard_targets, smoothed

NUM_ITEMS = 20


def sparse_targets(seed: int, uniform: float = 0.0) -> SoftTargets:
    generator = np.random.default_rng(seed)
    items = np.stack([generator.permutation(NUM_ITEMS)[:4] for _ in range(NUM_ITEMS)])
    shares = generator.dirichlet(np.ones(4), size=NUM_ITEMS)
    soft = SoftTargets(torch.from_numpy(shares).float(), torch.from_numpy(items))
    return smoothed(soft, uniform) if uniform else soft


def dense(soft: SoftTargets) -> np.ndarray:
    """Return S entry by entry."""
    matrix = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for row in range(NUM_ITEMS):
        for place in range(soft.shares.shape[1]):
            column = place if soft.items is None else int(soft.items[row, place])
            matrix[row, column] += float(soft.shares[row, place])
        if soft.uniform is not None:
            matrix[row] += float(soft.uniform[row]) / NUM_ITEMS
    return matrix


@pytest.mark.parametrize("soft", [sparse_targets(0), sparse_targets(1, uniform=0.3)])
def test_the_spread_is_the_product_with_the_transposed_matrix(soft: SoftTargets) -> None:
    matrix = dense(soft)
    masses = np.random.default_rng(2).normal(size=NUM_ITEMS)
    np.testing.assert_allclose(spread(torch.from_numpy(masses), soft).numpy(), matrix.T @ masses, atol=1e-7)
    np.testing.assert_allclose(dense_rows(soft, 3, 9).numpy(), matrix[3:9], atol=1e-7)
    whole = SoftTargets(torch.from_numpy(matrix).float())
    np.testing.assert_allclose(spread(torch.from_numpy(masses), whole).numpy(), matrix.T @ masses, atol=1e-6)


@pytest.mark.parametrize("soft", [sparse_targets(0), sparse_targets(1, uniform=0.3)])
def test_the_coefficient_is_half_the_largest_distance_of_two_rows(soft: SoftTargets) -> None:
    matrix = dense(soft)
    expected = max(np.abs(one - other).sum() / 2 for one, other in combinations(list(matrix), 2))
    found, is_exact = dobrushin(soft)
    assert is_exact
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_large_catalogue_gets_a_bound_that_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    soft = sparse_targets(1, uniform=0.3)
    exact, _ = dobrushin(soft)
    monkeypatch.setattr(contraction, "_MOST_EXACT_WORK", 1)
    monkeypatch.setattr(contraction, "_ROWS_AT_A_TIME", 7)
    bound, is_exact = dobrushin(soft)
    assert not is_exact
    assert bound == pytest.approx(1.0 - dense(soft).min(axis=0).sum(), abs=1e-6)
    assert exact <= bound + 1e-6


def test_no_two_distributions_are_further_apart_afterwards_than_the_coefficient_allows() -> None:
    generator = np.random.default_rng(3)
    soft = sparse_targets(4, uniform=0.2)
    coefficient, _ = dobrushin(soft)
    for _ in range(50):
        first, second = generator.dirichlet(np.full(NUM_ITEMS, 0.1), size=2)
        found = contraction_of(first, second, soft)
        assert found is not None
        assert found <= coefficient + 1e-6


def test_cross_entropy_contracts_nothing_and_equal_distributions_have_no_contraction() -> None:
    first, second = np.random.default_rng(5).dirichlet(np.ones(NUM_ITEMS), size=2)
    assert contraction_of(first, second, hard_targets(NUM_ITEMS)) == pytest.approx(1.0)
    assert contraction_of(first, first, hard_targets(NUM_ITEMS)) is None
    assert dobrushin(hard_targets(NUM_ITEMS)) == (1.0, True)


def test_the_pairs_of_a_study(study: Study) -> None:
    found = measure_contraction(study)
    assert [pair.markets for pair in found.pairs] == [
        ("big", "middle"),
        ("big", "small"),
        ("middle", "small"),
    ]
    assert [pair.shared_items for pair in found.pairs] == [32, 24, 24]
    for pair in found.pairs:
        assert pair.over_shared is not None
        assert pair.over_union is not None
        assert 0.0 < pair.over_shared < 1.0
        assert 0.0 < pair.over_union < 1.0
    hard = study.settings.model_copy(update={"s2ce": replace(study.settings.s2ce, alpha=0.0)})
    plain = measure_contraction(replace(study, settings=hard))
    assert [pair.over_shared for pair in plain.pairs] == pytest.approx([1.0, 1.0, 1.0])


def test_shares_count_training_targets_only(study: Study) -> None:
    union = union_catalogue(study)
    counts = dict.fromkeys(union.item_ids, 0)
    for sequence in study.markets["small"].split.train:
        for item in sequence[1:]:
            counts[study.catalogues["small"].item_ids[item]] += 1
    expected = np.array(list(counts.values())) / sum(counts.values())
    np.testing.assert_allclose(target_shares(study.markets["small"], union, "small"), expected)
