"""Whose histories to continue: all users of a market, some of them, or users nobody has seen before."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from fecosr.data.catalogue import Catalogue
from fecosr.data.interactions import read_interactions
from fecosr.data.readers.tables import ROW, SourceTable, read_delimited, read_lines, read_parquet
from fecosr.data.readers.tabular import interactions
from fecosr.data.sequences import ItemArray
from fecosr.data.settings import ColumnNames, DataSettings
from fecosr.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """Hold what users did so far, and what had to be left out.

    Attributes:
        user_ids: ascending.
        sequences: item numbers, oldest first, at least one; users in the order of `user_ids`.
        unknown_interactions: skipped because the model does not know their items.
        unknown_items: how many different items these are.
        users_without_history: skipped because nothing they did is known to the model.
    """

    user_ids: tuple[str, ...] = field(repr=False)
    sequences: tuple[ItemArray, ...] = field(repr=False)
    unknown_interactions: int
    unknown_items: int
    users_without_history: int


def read_market_histories(
    settings: DataSettings, catalogue: Catalogue, users: Collection[str] | None = None
) -> Histories:
    """Return the whole histories of the market's users, also of those who were too short to train on.

    Args:
        settings: where the market's data stand.
        catalogue: of the model.
        users: only these; None is everybody.

    Raises:
        DataError: the data cannot be used.
        ConfigError: none of `users` is in them.
    """
    frame = read_interactions(settings)
    if users is not None:
        frame = frame.filter(pl.col("user").is_in(list(users)))
        if frame.is_empty():
            raise ConfigError("none of the given users is in the market's data", remedy="check --users")
    return _number(frame, catalogue)


def read_history_file(path: Path, catalogue: Catalogue) -> Histories:
    """Return the histories in a CSV or Parquet file with the columns user, item and perhaps timestamp.

    Without timestamps, a user's items are taken in the order of the file.

    Raises:
        DataError: the file cannot be used.
    """
    table = read_table(path)
    if "timestamp" not in table.frame.columns:
        frame = table.frame.with_columns(pl.col(ROW).alias("timestamp"))
        table = SourceTable(table.path, frame, table.separator, table.quoted)
    if table.frame.is_empty():
        raise DataError("holds no interaction", remedy="give at least one", source=str(path))
    return _number(interactions(table, ColumnNames()), catalogue)


def read_table(path: Path) -> SourceTable:
    """Return a CSV (plain or gzip compressed) or Parquet file.

    Raises:
        DataError: it is neither.
    """
    name = path.name.lower()
    if name.endswith(".parquet"):
        return read_parquet(path)
    if name.endswith((".csv", ".csv.gz")):
        return read_delimited(path, ",", quoted=True)
    raise DataError("its format is not known", remedy="end its name in .csv or .parquet", source=str(path))


def given_users(values: Collection[str]) -> tuple[str, ...]:
    """Return user ids without repetition: each value is one, or names a file with one in each line.

    Raises:
        DataError: a file is no text.
    """
    users: dict[str, None] = {}
    for value in values:
        lines = read_lines(Path(value)) if _is_file(value) else [value]
        users.update(dict.fromkeys(line.strip() for line in lines if line.strip()))
    return tuple(users)


def _is_file(value: str) -> bool:
    """Return whether there is such a file; an id may be too long for the name of one."""
    try:
        return Path(value).is_file()
    except OSError:
        return False


def _number(frame: pl.DataFrame, catalogue: Catalogue) -> Histories:
    """Return a table of interactions as sequences over the catalogue."""
    numbers = pl.DataFrame({"item": catalogue.item_ids}, schema={"item": pl.String}).with_row_index("number")
    numbered = frame.join(numbers, on="item", how="left")
    unknown = numbered.filter(pl.col("number").is_null())
    per_user = (
        numbered.filter(pl.col("number").is_not_null())
        .sort("user", "timestamp", "row")
        .group_by("user", maintain_order=True)
        .agg(pl.col("number").cast(pl.Int32))
    )
    return Histories(
        user_ids=tuple(per_user["user"].to_list()),
        sequences=tuple(sequence.to_numpy().astype(np.int32) for sequence in per_user["number"]),
        unknown_interactions=unknown.height,
        unknown_items=unknown["item"].n_unique(),
        users_without_history=frame["user"].n_unique() - per_user.height,
    )
