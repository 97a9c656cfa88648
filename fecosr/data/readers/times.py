"""What stands in a time column, in whole seconds."""

from typing import Final

import polars as pl

from fecosr.data.readers.tables import SourceTable
from fecosr.errors import DataError

_ISO_FORMATS: Final = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
)
_ISO_FORMATS_WITH_ZONE: Final = ("%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z")
_TIMES: Final = (pl.Date, pl.Datetime)
_REMEDY: Final = "give seconds as a number, or a date such as 2024-05-31 or 2024-05-31T17:45:00"
_LARGEST_SECONDS: Final = 2.0**62


def seconds(table: SourceTable, column: str) -> pl.Series:
    """Return a time column in whole seconds since 1970 (UTC where no zone is given).

    Numbers are seconds, rounded down. Text is a number or an ISO date or date and time; the first row decides
    which of the two the whole column must be, so that a stray 2016 among dates is an error and not 1970.

    Raises:
        DataError: some row holds no time.
    """
    values = table.frame[column]
    if not (values.dtype.is_numeric() or values.dtype in _TIMES or values.dtype == pl.String):
        raise DataError(f"column {column} holds no times", remedy=_REMEDY, source=table.place_of_header())
    parsed = values.to_frame().select(_parsed(values)).to_series()
    table.refuse_where(parsed.is_null(), f"column {column} holds no time that we can read", remedy=_REMEDY)
    return parsed.alias("timestamp")


def _parsed(values: pl.Series) -> pl.Expr:
    """Return the expression that turns a column of this type into seconds, null where it holds no time."""
    column, dtype = pl.col(values.name), values.dtype
    if dtype in _TIMES:
        return column.dt.epoch("s")
    if dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    if dtype.is_numeric():
        return _whole(column.cast(pl.Float64))
    is_number = values.head(1).cast(pl.Float64, strict=False).null_count() == 0
    return _whole(column.cast(pl.Float64, strict=False)) if is_number else _iso(column)


def _whole(number: pl.Expr) -> pl.Expr:
    """Return floats rounded down, null for what no i64 can hold."""
    usable = number.is_finite() & (number.abs() < _LARGEST_SECONDS)
    return pl.when(usable).then(number).floor().cast(pl.Int64)


def _iso(text: pl.Expr) -> pl.Expr:
    """Return ISO dates and times as seconds, null for everything else."""
    # The pattern %Y would take a year of two digits for one of the first century.
    text = pl.when(text.str.contains(r"^\d{4}-")).then(text)
    local = [text.str.to_datetime(form, strict=False, time_unit="us") for form in _ISO_FORMATS]
    zoned = [
        text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC").dt.replace_time_zone(None)
        for form in _ISO_FORMATS_WITH_ZONE
    ]
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    return pl.coalesce(day, *local, *zoned).dt.epoch("s")
