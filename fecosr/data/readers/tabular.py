"""CSV and Parquet files with named columns."""

from pathlib import Path
from typing import Final

import polars as pl

from fecosr.data.readers.tables import ROW, SourceTable, read_delimited, read_parquet
from fecosr.data.readers.times import seconds
from fecosr.data.settings import ColumnNames
from fecosr.errors import DataError

_BLANK: Final = r"^\s*$"


def read_csv(path: Path, columns: ColumnNames, separator: str) -> pl.DataFrame:
    """Return the interactions of a CSV file, plain or gzip compressed.

    Raises:
        DataError: the file cannot be used.
    """
    return interactions(read_delimited(path, separator, quoted=True), columns)


def read_columns(path: Path, columns: ColumnNames) -> pl.DataFrame:
    """Return the interactions of a Parquet file.

    Raises:
        DataError: the file cannot be used.
    """
    return interactions(read_parquet(path), columns)


def interactions(table: SourceTable, columns: ColumnNames) -> pl.DataFrame:
    """Return a file's rows as interactions; every format ends here.

    Raises:
        DataError: a column is missing, or a row has no user, no item or no time.
    """
    optional = [name for name in (columns.title, columns.rating) if name]
    table.require(columns.user, columns.item, columns.timestamp, *optional)
    for name in (columns.user, columns.item):
        _require_name(table, name)
    table.refuse_where(
        pl.col(columns.timestamp).is_null(),
        f"column {columns.timestamp} is empty",
        remedy="complete or delete the line",
    )
    result = table.frame.select(
        pl.col(columns.user).cast(pl.String).alias("user"),
        pl.col(columns.item).cast(pl.String).alias("item"),
        seconds(table, columns.timestamp),
        pl.col(ROW).alias("row"),
        *([pl.col(columns.title).cast(pl.String).alias("title")] if columns.title else []),
        # Stars are compared, never computed with: text does.
        *([pl.col(columns.rating).cast(pl.String).alias("rating")] if columns.rating else []),
    )
    return result.with_columns(_tidy_title()) if columns.title else result


def _require_name(table: SourceTable, column: str) -> None:
    """Refuse a user or item column that cannot hold names, or has none in some row."""
    dtype = table.frame.schema[column]
    if dtype.is_nested() or dtype == pl.Binary:
        raise DataError(
            f"column {column} is no text and no number",
            remedy="store it as text",
            source=table.place_of_header(),
        )
    text = pl.col(column).cast(pl.String)
    table.refuse_where(
        text.is_null() | text.str.contains(_BLANK),
        f"column {column} is empty",
        remedy="complete or delete the line",
    )


def _tidy_title() -> pl.Expr:
    """Return titles with single spaces, and null for blank ones."""
    tidy = pl.col("title").str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(tidy != "").then(tidy).alias("title")
