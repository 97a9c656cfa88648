from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from fecosr.data.settings import ColumnNames, DataSettings, SyntheticSettings, demo_markets


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"kind": "xml", "path": "x"}, "kind must be one of"),
        ({"kind": "csv"}, "path must name the csv file"),
        ({"kind": "synthetic"}, "market must name the synthetic market"),
        ({"kind": "csv", "path": "x", "market": "../uk"}, "not a market name"),
        ({"kind": "online_retail", "path": "x", "market": "us"}, "market must be one of uk, de"),
        ({"kind": "csv", "path": "x", "separator": ";;"}, "separator must be one ASCII character"),
        ({"kind": "csv", "path": "x", "separator": '"'}, "separator must be one ASCII character"),
        ({"kind": "csv", "path": "x", "min_core": 0}, "min_core must be at least 1"),
    ],
)
def test_data_settings_refuse_what_no_reader_could_follow(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        DataSettings(**arguments)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"seed": -1}, "seed must not be negative"),
        ({"num_users": 0}, "must be at least 1"),
        ({"num_categories": 1}, "at least 2"),
        ({"num_items": 63}, "at least twice"),
        ({"min_length": 2}, "3 <= min_length"),
        ({"mean_length": 4.0}, "3 <= min_length"),
        ({"mean_length": 101.0}, "num_items / 4"),
        ({"mean_length": float("nan")}, "num_items / 4"),
        ({"popularity_exponent": 3.5}, "popularity_exponent"),
        ({"shared_item_share": 1.1}, "shared_item_share"),
    ],
)
def test_synthetic_settings_refuse_sizes_nothing_can_be_generated_from(
    arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        SyntheticSettings(**arguments)


def test_columns_must_be_named_and_distinct() -> None:
    with pytest.raises(ValueError, match="must each name a column"):
        ColumnNames(timestamp="")
    with pytest.raises(ValueError, match="two roles"):
        ColumnNames(user="id", item="id")


def test_a_configuration_file_cannot_hold_unknown_names() -> None:
    adapter = TypeAdapter(DataSettings)
    section = {"kind": "csv", "path": "a.csv", "columns": {"user": "u"}, "exclude_users": ["x"]}
    assert adapter.validate_python(section).exclude_users == ("x",)
    with pytest.raises(ValidationError, match="sepparator"):
        adapter.validate_python({**section, "sepparator": ";"})
    with pytest.raises(ValidationError, match="users"):
        adapter.validate_python({**section, "columns": {"users": "u"}})
    with pytest.raises(ValidationError, match="min_core must be at least 1"):
        adapter.validate_python({**section, "min_core": 0})


def test_demo_markets_share_the_process_and_differ_in_size() -> None:
    markets = dict(demo_markets(seed=7))
    assert list(markets) == ["north", "south", "east", "west", "isle"]
    assert {settings.synthetic.seed for settings in markets.values()} == {7}
    assert [settings.synthetic.num_users for settings in markets.values()] == [1200, 600, 400, 250, 150]
