"""Every method is known by name, and says what it is and what it does to isolation."""

import re

import pytest

from fecosr.errors import ConfigError
from fecosr.harness.compare.registry import CORE, LOCAL, METHODS, methods_named


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


def test_the_core_and_the_reference_are_methods() -> None:
    names = {method.name for method in METHODS}
    assert set(CORE) <= names
    assert set(LOCAL) <= set(CORE)


def test_a_shared_stage_is_a_shared_isolation() -> None:
    by_stage: dict[str, set[bool]] = {}
    for method in METHODS:
        by_stage.setdefault(method.stage, set()).add(method.breaks_isolation)
    assert all(len(found) == 1 for found in by_stage.values())


def test_what_breaks_isolation_says_so() -> None:
    breaking = {method.name: method for method in METHODS if method.breaks_isolation}
    assert set(breaking) == {"transfer", "centralised", "centralised-ft"}
    assert all(method.uses_other_markets for method in breaking.values())
    assert "breaks isolation" in breaking["centralised"].description
    assert "leaves" in breaking["transfer"].description
