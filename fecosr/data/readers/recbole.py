"""RecBole atomic files: `.inter` and, for titles, the `.item` beside it."""

from pathlib import Path
from typing import Final

import polars as pl

from fecosr.data.readers.tables import SourceTable, read_delimited
from fecosr.data.readers.tabular import interactions
from fecosr.data.settings import ColumnNames
from fecosr.errors import DataError

_TITLES: Final = ("title", "item_name", "name", "movie_title", "product_title")


def read_recbole(path: Path) -> pl.DataFrame:
    """Return the interactions of an `.inter` file, with titles if an `.item` file of the same name has some.

    Raises:
        DataError: one of the files cannot be used.
    """
    table = read_delimited(path, "\t", quoted=False)
    columns = ColumnNames(
        user=_typed(table, "user_id"), item=_typed(table, "item_id"), timestamp=_typed(table, "timestamp")
    )
    frame = interactions(table, columns)
    items = path.with_suffix(".item")
    return frame.join(_titles(items), on="item", how="left") if items.is_file() else frame


def _titles(path: Path) -> pl.DataFrame:
    """Return the first title of each item in an `.item` file."""
    table = read_delimited(path, "\t", quoted=False)
    item = _typed(table, "item_id")
    title = next((name for name in table.frame.columns if name.split(":")[0] in _TITLES), None)
    if title is None:
        raise DataError(
            "no title column",
            remedy=f"name it one of {', '.join(_TITLES)}, or take the file away",
            source=f"{path}:1",
        )
    table.refuse_where(
        pl.col(item).is_null(), f"column {item} is empty", remedy="complete or delete the line"
    )
    return table.frame.select(pl.col(item).alias("item"), pl.col(title).alias("title")).unique(
        "item", keep="first", maintain_order=True
    )


def _typed(table: SourceTable, field: str) -> str:
    """Return the column called `field`, whose header also tells its type, as in `user_id:token`."""
    for name in table.frame.columns:
        if name.split(":")[0] == field:
            return name
    table.require(f"{field}:token" if field != "timestamp" else "timestamp:float")
    return field
