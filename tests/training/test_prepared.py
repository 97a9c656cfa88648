from dataclasses import replace

import numpy as np
import pytest
import torch

from fecosr.data.catalogue import Catalogue
from fecosr.data.sequences import MarketSequences, split_leave_one_out
from fecosr.errors import MisuseError
from fecosr.recommender.semantics import SOURCE_BEHAVIOUR, SOURCE_IDENTIFIERS, SOURCE_TITLES
from fecosr.recommender.semantics.behaviour import sketch_of
from fecosr.training.prepared import prepare
from fecosr.training.settings import LearningSettings
from fecosr.training.sketch import sketch_of_market


def test_a_catalogue_without_titles_falls_back_to_ids_and_says_so(
    market: MarketSequences, settings: LearningSettings
) -> None:
    prepared = prepare(market, settings.semantics, settings.s2ce)
    assert prepared.semantics_source == SOURCE_IDENTIFIERS
    assert prepared.semantics.shape == (24, 32)
    assert prepared.soft.shares.shape == (24, 4)


def test_titles_make_neighbours(market: MarketSequences, settings: LearningSettings) -> None:
    titles = tuple(f"garden {'hose' if number % 2 else 'chair'} {number}" for number in range(24))
    titled = replace(market, catalogue=Catalogue(market.catalogue.item_ids, titles))
    prepared = prepare(titled, settings.semantics, settings.s2ce)
    assert prepared.semantics_source == SOURCE_TITLES
    assert prepared.soft.items is not None
    nearest = prepared.soft.items[:, 1]
    assert (nearest % 2 == torch.arange(24) % 2).float().mean() > 0.8


def test_targets_are_kept_out_of_training(market: MarketSequences, settings: LearningSettings) -> None:
    split = prepare(market, settings.semantics, settings.s2ce).split
    for whole, train in zip(market.sequences, split.train, strict=True):
        assert train.tolist() == whole[:-2].tolist()


def test_behaviour_becomes_semantics_once_the_sketches_are_summed(
    market: MarketSequences, settings: LearningSettings
) -> None:
    """Test and validation targets are no part of a sketch."""
    semantics = replace(settings.semantics, kind="behaviour", dimension=64, sketch_buckets=256)
    sketch = sketch_of_market(market, semantics)
    train = split_leave_one_out(market).train
    np.testing.assert_array_equal(sketch, sketch_of(train, market.catalogue.item_ids, semantics))
    prepared = prepare(market, semantics, settings.s2ce, 2 * sketch)
    assert prepared.semantics_source == SOURCE_BEHAVIOUR
    with pytest.raises(MisuseError, match="sum"):
        prepare(market, semantics, settings.s2ce)


@pytest.mark.parametrize(
    ("num_users", "most", "expected"), [(6, 64, 4), (100, 64, 4), (400, 64, 10), (9000, 64, 64), (100, 2, 2)]
)
def test_small_markets_take_small_batches(
    market: MarketSequences, settings: LearningSettings, num_users: int, most: int, expected: int
) -> None:
    prepared = prepare(market, settings.semantics, settings.s2ce)
    train = (*[np.array([1, 2], np.int32)] * num_users, np.array([3], np.int32))
    assert replace(prepared, split=replace(prepared.split, train=train)).batch_size(most) == expected
