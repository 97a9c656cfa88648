from dataclasses import replace

import numpy as np
import pytest

from fecosr.errors import MisuseError
from fecosr.recommender.semantics import (
    SOURCE_BEHAVIOUR,
    catalogue_semantics,
    identifier_semantics,
    semantic_neighbours,
)
from fecosr.recommender.semantics.behaviour import contribution, semantics_from, sketch_of
from fecosr.recommender.settings import SemanticsSettings

SETTINGS = SemanticsSettings(
    kind="behaviour", dimension=256, seed=3, sketch_buckets=4096, sketch_clip_norm=100.0
)
NUM_ITEMS, NUM_GROUPS = 60, 6
IDS = tuple(f"item-{number:02d}" for number in range(NUM_ITEMS))


def market(seed: int, users: int = 150, items: range = range(NUM_ITEMS)) -> list[np.ndarray]:
    """Every user stays within one group of items."""
    rng = np.random.default_rng(seed)
    groups = [[item for item in items if item % NUM_GROUPS == group] for group in range(NUM_GROUPS)]
    return [
        rng.choice(groups[rng.integers(NUM_GROUPS)], size=rng.integers(2, 6)).astype(np.int32)
        for _ in range(users)
    ]


def test_items_of_the_same_users_are_near_each_other() -> None:
    vectors = semantics_from(sketch_of(market(0), IDS, SETTINGS), IDS, SETTINGS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    nearest = semantic_neighbours(vectors, NUM_ITEMS // NUM_GROUPS).items
    assert np.mean(nearest % NUM_GROUPS == np.arange(NUM_ITEMS)[:, None] % NUM_GROUPS) > 0.95


def test_the_sketch_is_the_matrix_of_counts_times_the_public_signs() -> None:
    """Against a dense count matrix, where every item has a bucket of its own."""
    sequences = market(1, users=20)
    omega = identifier_semantics(IDS, SETTINGS).astype(np.float64)
    counts = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for sequence in sequences:
        items = sorted(set(sequence.tolist()))
        for first in items:
            for second in items:
                if first != second:
                    counts[first, second] += 1 / np.sqrt(len(items))
    sketch = sketch_of(sequences, IDS, SETTINGS).reshape(SETTINGS.sketch_buckets, -1)
    rows = sketch[sketch.any(axis=1)]
    expected = (counts @ omega)[counts.any(axis=1)]
    assert len(rows) == len(expected)
    order, expected_order = np.lexsort(rows.T.round(4)), np.lexsort(expected.T.round(4))
    np.testing.assert_allclose(rows[order], expected[expected_order], atol=1e-5)


def test_sketches_add_up_over_users_and_markets() -> None:
    first, second = market(1), market(2)
    whole = sketch_of(first + second, IDS, SETTINGS)
    np.testing.assert_allclose(
        sketch_of(first, IDS, SETTINGS) + sketch_of(second, IDS, SETTINGS), whole, atol=1e-4
    )


def test_markets_with_different_catalogues_give_a_shared_item_the_same_vector() -> None:
    """Item numbers differ, ids do not."""
    other_ids = IDS[30:]
    total = sketch_of(market(1), IDS, SETTINGS) + sketch_of(market(2, items=range(30)), other_ids, SETTINGS)
    np.testing.assert_array_equal(
        semantics_from(total, IDS, SETTINGS)[30:], semantics_from(total, other_ids, SETTINGS)
    )


def test_the_scale_of_the_sum_does_not_matter() -> None:
    """A secure aggregation may return a mean."""
    total = sketch_of(market(1), IDS, SETTINGS)
    np.testing.assert_allclose(
        semantics_from(total * np.float32(0.125), IDS, SETTINGS),
        semantics_from(total, IDS, SETTINGS),
        atol=1e-6,
    )


@pytest.mark.parametrize("clip_norm", [0.01, 0.5, 2.0])
def test_one_user_changes_a_sketch_by_at_most_the_clip_norm(clip_norm: float) -> None:
    clipped = replace(SETTINGS, sketch_clip_norm=clip_norm)
    users = [*market(3, users=5), np.arange(NUM_ITEMS, dtype=np.int32)]
    whole = sketch_of(users, IDS, clipped)
    for left_out in range(len(users)):
        others = sketch_of(users[:left_out] + users[left_out + 1 :], IDS, clipped)
        assert np.linalg.norm(whole.astype(np.float64) - others) <= clip_norm * (1 + 1e-5)


def test_items_in_one_bucket_are_clipped_together() -> None:
    omega = identifier_semantics(IDS, SETTINGS)
    rows, values = contribution(np.array([2, 5, 9]), np.zeros(NUM_ITEMS, np.int64), omega, 0.7)
    assert rows.tolist() == [0]
    assert np.linalg.norm(values) == pytest.approx(0.7)


def test_only_the_latest_items_of_a_user_count_and_each_once() -> None:
    short = replace(SETTINGS, sketch_items=3)
    long = [np.array([7, 8, 1, 2, 2, 3], np.int32)]
    np.testing.assert_array_equal(
        sketch_of(long, IDS, short), sketch_of([np.array([1, 2, 3], np.int32)], IDS, short)
    )


def test_users_with_one_item_add_nothing() -> None:
    assert not sketch_of([np.array([4, 4], np.int32), np.array([], np.int32)], IDS, SETTINGS).any()


def test_an_item_that_nobody_combines_has_the_vector_of_its_id() -> None:
    vectors = semantics_from(np.zeros(SETTINGS.sketch_length, np.float32), IDS, SETTINGS)
    np.testing.assert_allclose(vectors, identifier_semantics(IDS, SETTINGS), atol=1e-6)


def test_another_seed_is_another_space() -> None:
    other = replace(SETTINGS, seed=4)
    sequences = market(1)
    ours = semantics_from(sketch_of(sequences, IDS, SETTINGS), IDS, SETTINGS)
    theirs = semantics_from(sketch_of(sequences, IDS, other), IDS, other)
    assert np.abs((ours * theirs).sum(axis=1)).mean() < 0.1


@pytest.mark.parametrize(
    "wrong", [np.zeros(8, np.float32), np.full(SETTINGS.sketch_length, np.nan, np.float32)]
)
def test_a_sum_that_cannot_be_one_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(MisuseError, match="sum of sketches"):
        semantics_from(wrong, IDS, SETTINGS)


def test_a_catalogue_takes_its_vectors_from_the_sum_whatever_its_titles() -> None:
    total = sketch_of(market(1), IDS, SETTINGS)
    found = catalogue_semantics(IDS, IDS, SETTINGS, total)
    assert found.source == SOURCE_BEHAVIOUR
    np.testing.assert_array_equal(found.vectors, semantics_from(total, IDS, SETTINGS))


def test_behaviour_without_a_sum_is_refused() -> None:
    with pytest.raises(MisuseError, match="need the sum"):
        catalogue_semantics(IDS, None, SETTINGS)
