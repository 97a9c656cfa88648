"""The best k items, against a slow and obvious computation."""

import numpy as np
import numpy.typing as npt
import pytest

from fecosr.errors import MisuseError
from fecosr.serving.ranking import NO_ITEM, best_items


def by_brute_force(scores: npt.NDArray[np.float32], k: int, left_out: set[int]) -> list[int]:
    ranked = sorted((-float(score), item) for item, score in enumerate(scores) if item not in left_out)
    return ([item for _, item in ranked] + [NO_ITEM] * k)[:k]


@pytest.mark.parametrize("levels", [1, 3, 10_000])
@pytest.mark.parametrize("k", [1, 5, 30, 40])
def test_the_best_items_are_those_of_brute_force_also_among_ties(levels: int, k: int) -> None:
    rng = np.random.default_rng(levels + k)
    scores = rng.integers(levels, size=(20, 30)).astype(np.float32) - 5
    seen = [rng.choice(30, size=int(rng.integers(30)), replace=False).astype(np.int32) for _ in range(20)]
    allowed = rng.random(30) < 0.8
    forbidden = set(np.flatnonzero(~allowed).tolist())
    found = best_items(scores, k, seen=seen, allowed=allowed)
    for row in range(20):
        assert found[row].tolist() == by_brute_force(scores[row], k, forbidden | set(seen[row].tolist()))
    kept = best_items(scores, k, seen=None, allowed=np.ones(30, np.bool_))
    for row in range(20):
        assert kept[row].tolist() == by_brute_force(scores[row], k, set())


def test_who_has_seen_everything_gets_nothing() -> None:
    everything = [np.arange(4, dtype=np.int32)]
    found = best_items(np.ones((1, 4), np.float32), 2, seen=everything, allowed=np.ones(4, np.bool_))
    assert found.tolist() == [[NO_ITEM, NO_ITEM]]


def test_scores_that_cannot_be_ranked_are_misuse() -> None:
    allowed = np.ones(2, np.bool_)
    with pytest.raises(MisuseError):
        best_items(np.array([[1, np.nan]], np.float32), 1, seen=None, allowed=allowed)
    with pytest.raises(MisuseError):
        best_items(np.ones((1, 2), np.float32), 0, seen=None, allowed=allowed)
