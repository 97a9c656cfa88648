from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.data.batches import Batch, bucketed_batches
from fecosr.data.sequences import ItemArray
from fecosr.errors import MisuseError


def sequences_of(*lengths: int) -> list[ItemArray]:
    """Return sequences of numbers that occur nowhere else."""
    ends = np.cumsum(lengths)
    return [np.arange(end - length, end, dtype=np.int32) for end, length in zip(ends, lengths, strict=True)]


def pairs(batches: list[Batch]) -> list[tuple[int, int]]:
    return [
        (int(given_item), int(target))
        for batch in batches
        for inputs, targets, length in zip(batch.inputs, batch.targets, batch.lengths, strict=True)
        for given_item, target in zip(inputs[:length], targets[:length], strict=True)
    ]


@given(st.lists(st.integers(0, 12), max_size=20), st.integers(1, 8), st.integers(1, 6), st.integers(0, 5))
def test_every_target_is_used_once_after_the_item_before_it(
    lengths: list[int], max_length: int, batch_size: int, seed: int
) -> None:
    sequences = sequences_of(*lengths) if lengths else []
    batches = list(bucketed_batches(sequences, max_length, batch_size, np.random.default_rng(seed)))
    expected = [
        (before, after)
        for sequence in sequences
        for before, after in pairwise(sequence.tolist())
        if after >= sequence[-1] - max_length + 1
    ]
    assert Counter(pairs(batches)) == Counter(expected)
    for batch in batches:
        assert 1 <= len(batch.lengths) <= batch_size
        assert batch.inputs.shape == batch.targets.shape == (len(batch.lengths), batch.lengths.max())
        assert batch.inputs.dtype == batch.targets.dtype == batch.lengths.dtype == np.int64
        padding = np.arange(batch.inputs.shape[1]) >= batch.lengths[:, None]
        assert not batch.inputs[padding].any()
        assert not batch.targets[padding].any()


def test_similar_lengths_meet() -> None:
    sequences = sequences_of(*[2, 20] * 8)
    batches = list(bucketed_batches(sequences, 50, 4, np.random.default_rng(0)))
    assert sorted(batch.inputs.shape for batch in batches) == [(4, 1), (4, 1), (4, 19), (4, 19)]


def test_the_seed_alone_decides_the_order() -> None:
    sequences = sequences_of(*[5] * 40)

    def order(seed: int) -> list[tuple[int, int]]:
        return pairs(list(bucketed_batches(sequences, 9, 4, np.random.default_rng(seed))))

    assert order(1) == order(1)
    assert order(1) != order(2)


@pytest.mark.parametrize(("max_length", "batch_size"), [(0, 1), (1, 0)])
def test_nothing_fits_in_an_empty_batch(max_length: int, batch_size: int) -> None:
    with pytest.raises(MisuseError):
        next(bucketed_batches(sequences_of(3), max_length, batch_size, np.random.default_rng(0)))
