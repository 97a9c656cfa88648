from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from fecosr.data.readers.tables import ROW, SourceTable
from fecosr.data.readers.times import seconds
from fecosr.errors import DataError

MAY = 1_714_521_600  # 2024-05-01 00:00 UTC


def table(values: pl.Series) -> SourceTable:
    frame = values.alias("when").to_frame().with_row_index(ROW)
    return SourceTable(Path("x"), frame, ",")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1714521600", "1714521601.9", "-0.5", "1e3"], [MAY, MAY + 1, -1, 1000]),
        (["2024-05-01", "1969-12-31"], [MAY, -86400]),
        (
            ["2024-05-01 00:01:02", "2024-05-01T00:01", "2024-05-01 00:01:02.75"],
            [MAY + 62, MAY + 60, MAY + 62],
        ),
        (
            ["2024-05-01T02:00:00+02:00", "2024-05-01T00:00:00Z", "2024-05-01T00:00:01.5Z"],
            [MAY, MAY, MAY + 1],
        ),
        ([MAY, 0, -1], [MAY, 0, -1]),
        ([MAY + 0.5], [MAY]),
        ([date(2024, 5, 1)], [MAY]),
        ([datetime(2024, 5, 1, 0, 0, 9)], [MAY + 9]),  # noqa: DTZ001 - Parquet files hold naive times too.
        ([datetime(2024, 5, 1, tzinfo=UTC)], [MAY]),
    ],
)
def test_numbers_and_iso_dates_are_seconds(values: list[object], expected: list[int]) -> None:
    assert seconds(table(pl.Series(values)), "when").to_list() == expected


def test_a_zone_counts_for_times_that_are_stored_as_times() -> None:
    berlin = pl.Series([datetime(2024, 5, 1, tzinfo=UTC)]).dt.convert_time_zone("Europe/Berlin")
    assert seconds(table(berlin), "when").to_list() == [MAY]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (["2024-05-01", "yesterday"], 3),
        (["2024-05-01", "2016"], 3),  # A number among dates would silently be 1970.
        (["2016", "2024-05-01"], 3),
        (["2024-13-01"], 2),
        (["2024-02-30"], 2),
        (["01/05/2024"], 2),
        (["24-05-01"], 2),
        (["nan"], 2),
        (["1", "inf"], 3),
        (["1e300"], 2),
        ([1.0, float("nan")], 3),
    ],
)
def test_what_is_no_time_is_refused_by_line(values: list[object], line: int) -> None:
    with pytest.raises(
        DataError, match=f"x:{line}: column when holds no time that we can read.*give seconds"
    ):
        seconds(table(pl.Series(values)), "when")


def test_a_column_that_cannot_hold_times_is_refused() -> None:
    with pytest.raises(DataError, match="column when holds no times"):
        seconds(table(pl.Series([True])), "when")


def test_a_complaint_never_repeats_the_cell() -> None:
    with pytest.raises(DataError) as caught:
        seconds(table(pl.Series(["1", "private"])), "when")
    assert "private" not in str(caught.value)
