"""Every method is known by name, says what it is, and trains."""

import re

import numpy as np
import pytest

from fecosr.errors import ConfigError
from fecosr.harness.compare.method import Method
from fecosr.harness.compare.registry import METHODS, methods_named
from fecosr.harness.compare.study import Study


def test_names_are_unique_and_fit_for_files() -> None:
    names = [method.name for method in METHODS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)
    assert len({method.label for method in METHODS}) == len(names)
    assert all(method.description.endswith(".") for method in METHODS)


def test_methods_come_in_the_order_of_the_report() -> None:
    assert [method.name for method in methods_named(["fecosr", "popularity"])] == ["popularity", "fecosr"]


def test_an_unknown_method_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"there is no method .fedavg. .*fedavg-ce"):
        methods_named(["fecosr", "fedavg"])


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_scores_the_catalogue_of_every_market(method: Method, study: Study) -> None:
    trained = method.train(study)
    assert list(trained.scorers) == ["big", "middle", "small"]
    for name, scorer in trained.scorers.items():
        data = study.markets[name]
        scores = scorer(list(data.split.train[:3]))
        assert scores.shape == (3, data.num_items)
        assert np.isfinite(scores).all()
