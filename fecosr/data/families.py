"""Variants of one product as one item: families of items that the same reviews hang on.

Shops attach one review to every variant of a product (colour, size, bundle). Such items follow each other in
a user's history on the same day with the same star, and predicting them is copying, not recommending. Two
items are variants of each other if

    together >= 3    and    together >= 0.3 * min(n_i, n_j)

n_i counts the occasions (user, day, star) at which item i was reviewed, `together` those that have both. A
family is a connected component of that relation; it takes the id of its alphabetically first item, so that
markets that find the same family give it the same name without talking to each other.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl

from fecosr.errors import DataError

FEWEST_TOGETHER: Final = 3
LEAST_SHARE: Final = 0.3
_DAY_SECONDS: Final = 24 * 3600
_OCCASION: Final = ("user", "day", "rating")


def merge_families(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one market's interactions with the items of a family merged into one.

    What one user did to one family on one day is one interaction: the first in file order.

    Args:
        frame: as `read_interactions` returns it, with the column `rating`.

    Raises:
        DataError: there are no stars to tell families by.
    """
    if "rating" not in frame.columns:
        raise DataError(
            "families of items cannot be told without stars",
            remedy="name the column of stars in columns.rating, or leave merge_families out",
        )
    family = item_families(frame)
    merged = frame.with_columns(
        pl.col("item").replace(list(family), list(family.values())), _day().alias("day")
    )
    return merged.unique(["user", "item", "day"], keep="first", maintain_order=True).drop("day")


def item_families(frame: pl.DataFrame) -> dict[str, str]:
    """Return the family of each item that is in one with others: item id to family id.

    Args:
        frame: columns `user`, `item`, `timestamp` and `rating`; a row without a star belongs to no occasion.
    """
    occasions = (
        frame.filter(pl.col("rating").is_not_null())
        .select("user", "item", "rating", _day().alias("day"))
        .unique()
    )
    counts = occasions.group_by("item").len("count")
    pairs = (
        occasions.join(occasions, on=_OCCASION, suffix="_2")
        .filter(pl.col("item") < pl.col("item_2"))
        .group_by("item", "item_2")
        .len("together")
        .filter(pl.col("together") >= FEWEST_TOGETHER)
        .join(counts, on="item")
        .join(counts.rename({"item": "item_2"}), on="item_2", suffix="_2")
        .filter(pl.col("together") >= LEAST_SHARE * pl.min_horizontal("count", "count_2"))
    )
    return _components(zip(pairs["item"].to_list(), pairs["item_2"].to_list(), strict=True))


def _components(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the smallest member of each connected component, by member (union-find)."""
    parent: dict[str, str] = {}
    for first, second in pairs:
        for item in (first, second):
            parent.setdefault(item, item)
        low, high = sorted((_root(parent, first), _root(parent, second)))
        parent[high] = low
    return {item: _root(parent, item) for item in parent}


def _root(parent: Mapping[str, str], item: str) -> str:
    while parent[item] != item:
        item = parent[item]
    return item


def _day() -> pl.Expr:
    return pl.col("timestamp").floordiv(_DAY_SECONDS)
