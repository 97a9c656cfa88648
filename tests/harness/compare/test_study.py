from dataclasses import replace

import numpy as np
import pytest

from fecosr.data.catalogue import Catalogue
from fecosr.data.sequences import MarketSequences
from fecosr.harness.compare.settings import ComparisonSettings
from fecosr.harness.compare.study import Study, prepare_study
from fecosr.recommender.semantics import SOURCE_BEHAVIOUR, SOURCE_TITLES


@pytest.fixture
def untitled(sequences: dict[str, MarketSequences]) -> dict[str, MarketSequences]:
    return {
        name: replace(data, catalogue=Catalogue(data.catalogue.item_ids)) for name, data in sequences.items()
    }


def test_titles_are_what_vectors_are_made_from_where_there_are_any(study: Study) -> None:
    assert {data.semantics_source for data in study.markets.values()} == {SOURCE_TITLES}
    assert all(study.alone[name] is data for name, data in study.markets.items())


def test_without_titles_vectors_are_made_from_the_behaviour_of_all_markets(
    untitled: dict[str, MarketSequences], settings: ComparisonSettings
) -> None:
    study = prepare_study(untitled, settings, seed=5)
    assert {data.semantics_source for data in study.markets.values()} == {SOURCE_BEHAVIOUR}
    shared = sorted(set.intersection(*(set(catalogue.item_ids) for catalogue in study.catalogues.values())))
    assert shared
    first, second, _ = (
        data.semantics.numpy()[[study.catalogues[name].index(item) for item in shared]]
        for name, data in study.markets.items()
    )
    np.testing.assert_array_equal(first, second)


def test_alone_a_market_knows_nothing_of_the_others(
    untitled: dict[str, MarketSequences], settings: ComparisonSettings
) -> None:
    study = prepare_study(untitled, settings, seed=5)
    nobody_else = prepare_study({"small": untitled["small"]}, settings, seed=5)
    ours = nobody_else.markets["small"].semantics.numpy()
    np.testing.assert_array_equal(study.alone["small"].semantics.numpy(), ours)
    np.testing.assert_array_equal(study.only("small").markets["small"].semantics.numpy(), ours)
    assert np.abs(study.markets["small"].semantics.numpy() - ours).max() > 0.01
