"""XMarket: reviews of one country's shop in `{market}_5core.txt`, plain or gzip compressed."""

from pathlib import Path
from typing import Final

import polars as pl

from fecosr.data.readers.tables import read_delimited
from fecosr.data.readers.tabular import interactions
from fecosr.data.settings import ColumnNames
from fecosr.errors import DataError

FILE_ENDINGS: Final = ("_5core.txt", "_5core.txt.gz")
_COLUMNS: Final = ColumnNames(user="userId", item="itemId", timestamp="date", rating="rate")


def read_xmarket(path: Path, market: str) -> pl.DataFrame:
    """Return the interactions of one XMarket file, or of a market's file in a folder.

    Dates are days, so many interactions of a user are simultaneous: file order decides between them.

    Raises:
        DataError: the file cannot be used, or the folder has none for the market.
    """
    return interactions(read_delimited(_file(path, market), " ", quoted=False), _COLUMNS)


def _file(path: Path, market: str) -> Path:
    """Return the file of a market."""
    if not path.is_dir():
        return path
    if not market:
        raise DataError("a folder of several markets", remedy="name one in `market`", source=str(path))
    for ending in FILE_ENDINGS:
        if (path / (market + ending)).is_file():
            return path / (market + ending)
    raise DataError(
        f"the folder has no {market}{FILE_ENDINGS[0]}[.gz]", remedy="check path and market", source=str(path)
    )
