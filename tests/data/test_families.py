"""Families are those that a slow, obvious computation finds, and merging loses nothing by accident."""

from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fecosr.data.families import item_families, merge_families
from fecosr.data.interactions import read_interactions
from fecosr.data.settings import ColumnNames, DataSettings, SyntheticSettings
from fecosr.errors import DataError

DAY = 86_400
Row = tuple[str, str, int, str | None]


def table(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user": [row[0] for row in rows],
            "item": [row[1] for row in rows],
            "timestamp": pl.Series([row[2] for row in rows], dtype=pl.Int64),
            "row": pl.Series(range(len(rows)), dtype=pl.Int64),
            "rating": pl.Series([row[3] for row in rows], dtype=pl.String),
        }
    )


def families_by_brute_force(rows: list[Row]) -> dict[str, str]:
    """Grow families from singletons, comparing every pair of items until nothing changes."""
    occasions: dict[str, set[tuple[str, int, str]]] = {}
    for user, item, timestamp, rating in rows:
        if rating is not None:
            occasions.setdefault(item, set()).add((user, timestamp // DAY, rating))
    families = [{item} for item in occasions]
    for first, second in combinations(sorted(occasions), 2):
        together = len(occasions[first] & occasions[second])
        smaller = min(len(occasions[first]), len(occasions[second]))
        if together >= 3 and together / smaller >= 0.3:
            one = next(family for family in families if first in family)
            other = next(family for family in families if second in family)
            if one is not other:
                families.remove(other)
                one |= other
    return {item: min(family) for family in families if len(family) > 1 for item in family}


@pytest.mark.parametrize("seed", range(6))
def test_families_are_those_of_brute_force(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows: list[Row] = []
    for user in range(60):
        for day in range(int(generator.integers(1, 4))):
            # Items of one decade come together often, others by chance.
            decade = int(generator.integers(4))
            items = {10 * decade + int(item) for item in generator.integers(5, size=3)}
            items |= {int(item) for item in generator.integers(40, size=1)}
            for item in items:
                star = "5.0" if generator.random() < 0.8 else str(generator.integers(1, 5))
                rows.append((f"u{user}", f"i{item:02d}", day * DAY + int(generator.integers(DAY)), star))
    expected = families_by_brute_force(rows)
    assert expected
    assert item_families(table(rows)) == expected


def together(first: str, second: str, times: int, star: str = "5") -> list[Row]:
    return [(f"u{n}", item, 0, star) for n in range(times) for item in (first, second)]


def test_three_occasions_are_needed() -> None:
    assert item_families(table(together("a", "b", 2))) == {}
    assert item_families(table(together("a", "b", 3))) == {"a": "a", "b": "a"}


def test_three_tenths_of_the_rarer_item_are_needed() -> None:
    alone: list[Row] = [(f"v{n}", item, 0, "5") for n in range(7) for item in ("a",)]
    also: list[Row] = [(f"w{n}", "b", 0, "5") for n in range(7)]
    assert item_families(table(together("a", "b", 3) + alone + also)) == {"a": "a", "b": "a"}
    one_more: list[Row] = [("v9", "a", 0, "5"), ("w9", "b", 0, "5")]
    assert item_families(table(together("a", "b", 3) + alone + also + one_more)) == {}


def test_another_day_another_star_or_none_is_another_occasion() -> None:
    days: list[Row] = [(f"u{n}", item, at, "5") for n in range(5) for item, at in (("a", 0), ("b", DAY))]
    stars: list[Row] = [(f"u{n}", item, 0, star) for n in range(5) for item, star in (("a", "5"), ("b", "4"))]
    none: list[Row] = [(f"u{n}", item, 0, None) for n in range(5) for item in "ab"]
    assert item_families(table(days)) == item_families(table(stars)) == item_families(table(none)) == {}


def test_a_review_that_stands_twice_counts_once() -> None:
    assert item_families(table(2 * together("a", "b", 2))) == {}


def test_a_family_is_named_after_its_first_item_and_reaches_through_others() -> None:
    rows = together("c", "b", 4) + [(f"v{n}", item, 0, "5") for n in range(4) for item in "ac"]
    assert item_families(table(rows)) == {"a": "a", "b": "a", "c": "a"}


def test_one_user_reviews_a_family_once_a_day() -> None:
    rows: list[Row] = [*together("a", "b", 3), ("u0", "b", DAY, "5"), ("u0", "z", 0, "5")]
    merged = merge_families(table(rows))
    assert merged.select("user", "item", "timestamp", "row").rows() == [
        ("u0", "a", 0, 0),
        ("u1", "a", 0, 2),
        ("u2", "a", 0, 4),
        ("u0", "a", DAY, 6),
        ("u0", "z", 0, 7),
    ]


def test_without_stars_there_are_no_families() -> None:
    synthetic = DataSettings(
        kind="synthetic",
        market="north",
        merge_families=True,
        synthetic=SyntheticSettings(num_users=5, num_items=80),
    )
    with pytest.raises(DataError, match=r"without stars .*columns\.rating"):
        read_interactions(synthetic)


def test_the_column_of_stars_is_named_in_the_settings(tmp_path: Path) -> None:
    lines = ["user,item,timestamp,stars"]
    lines += [f"u{n},{item},2020-01-01,{star}" for n in range(3) for item, star in (("a", 5), ("b", 5))]
    path = tmp_path / "shop.csv"
    path.write_text("\n".join(lines))
    settings = DataSettings(
        kind="csv", path=str(path), columns=ColumnNames(rating="stars"), min_core=1, merge_families=True
    )
    assert read_interactions(settings)["item"].to_list() == ["a", "a", "a"]


def test_families_of_the_real_markets(real_data: Path) -> None:
    settings = DataSettings(kind="xmarket", path=str(real_data / "xmarket-electronics"), market="mx")
    raw = read_interactions(settings)
    family = item_families(raw)
    rows = list(zip(raw["user"], raw["item"], raw["timestamp"], raw["rating"], strict=True))
    assert family == families_by_brute_force(rows)
    assert len(family) > 100
