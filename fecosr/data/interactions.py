"""The one way to a market's table of interactions, whatever the format."""

from pathlib import Path

import polars as pl

from fecosr.data.families import merge_families
from fecosr.data.readers.online_retail import read_online_retail
from fecosr.data.readers.recbole import read_recbole
from fecosr.data.readers.tabular import read_columns, read_csv
from fecosr.data.readers.user_sequences import read_user_sequences
from fecosr.data.readers.xmarket import read_xmarket
from fecosr.data.settings import DataSettings
from fecosr.data.synthetic import generate_market
from fecosr.errors import DataError
from fecosr.ids import node_id


def read_interactions(settings: DataSettings) -> pl.DataFrame:
    """Return one market's interactions in file order, without the excluded users.

    Returns:
        Columns `user` str, `item` str, `timestamp` i64 in seconds, `row` i64 and, with titles, `title` str
        and, with stars, `rating` str.

    Raises:
        DataError: the files cannot be used, hold no interactions, or no stars to merge families by.
    """
    frame = _read(settings)
    if frame.is_empty():
        raise DataError("no interactions", remedy="give a file with at least one", source=settings.path)
    kept = frame.filter(~pl.col("user").is_in(settings.exclude_users)) if settings.exclude_users else frame
    if kept.is_empty():
        raise DataError("every user is excluded", remedy="shorten exclude_users", source=settings.path)
    return merge_families(kept) if settings.merge_families else kept


def market_name(settings: DataSettings) -> str:
    """Return the configured market, or the name of its file without endings.

    Raises:
        DataError: no market is configured and the file's name would be no market name.
    """
    if settings.market:
        return settings.market
    name = Path(settings.path).name.split(".")[0].removesuffix("_5core").lower()
    try:
        return node_id(name)
    except ValueError as error:
        raise DataError(str(error), remedy="set market, or rename the file", source=settings.path) from None


def _read(settings: DataSettings) -> pl.DataFrame:
    """Return the interactions as the format's reader finds them."""
    path = Path(settings.path)
    match settings.kind:
        case "synthetic":
            return generate_market(settings.market, settings.synthetic)
        case "xmarket":
            return read_xmarket(path, settings.market)
        case "recbole":
            return read_recbole(path)
        case "csv":
            return read_csv(path, settings.columns, settings.separator)
        case "parquet":
            return read_columns(path, settings.columns)
        case "online_retail":
            return read_online_retail(path, settings.market)
        case "sequences":
            return read_user_sequences(path)
