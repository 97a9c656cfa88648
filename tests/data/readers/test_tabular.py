from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from fecosr.data.readers.tabular import read_columns, read_csv
from fecosr.data.settings import ColumnNames
from fecosr.errors import DataError

Writer = Callable[[str, str], Path]

NAMES = ColumnNames(user="who", item="what", timestamp="when", title="called")
SCHEMA = {"user": pl.String, "item": pl.String, "timestamp": pl.Int64, "row": pl.Int64, "title": pl.String}


def test_named_columns_become_interactions_in_file_order(write: Writer) -> None:
    path = write("de.csv", 'when;called;what;who\n5;"big; red  lamp ";i1;u1\n3; ;i2;u2\n4;;i1;u1\n')
    frame = read_csv(path, NAMES, ";")
    assert frame.schema == SCHEMA
    assert frame.rows() == [
        ("u1", "i1", 5, 0, "big; red lamp"),
        ("u2", "i2", 3, 1, None),
        ("u1", "i1", 4, 2, None),
    ]


def test_without_a_title_column_there_are_no_titles(write: Writer) -> None:
    frame = read_csv(write("de.csv", "user,item,timestamp,price\nu,i,1,9\n"), ColumnNames(), ",")
    assert frame.columns == ["user", "item", "timestamp", "row"]


def test_parquet_may_hold_numbers_as_names(tmp_path: Path) -> None:
    path = tmp_path / "de.parquet"
    pl.DataFrame({"who": [17, 4], "what": [1, 2], "when": [5.5, 6.0], "called": ["a", None]}).write_parquet(
        path
    )
    frame = read_columns(path, NAMES)
    assert frame.schema == SCHEMA
    assert frame.rows() == [("17", "1", 5, 0, "a"), ("4", "2", 6, 1, None)]


def test_any_column_may_be_called_row(write: Writer, tmp_path: Path) -> None:
    columns = ColumnNames(user="row")
    path = write("de.csv", "row,item,timestamp,row number\nu,i,1,9\n")
    pl.read_csv(path).write_parquet(tmp_path / "de.parquet")
    assert read_csv(path, columns, ",").rows() == [("u", "i", 1, 0)]
    assert read_columns(tmp_path / "de.parquet", columns).rows() == [("u", "i", 1, 0)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("user,item,timestamp\nu,i,1\n,i,2\n", r":3: column user is empty"),
        ('user,item,timestamp\nu,i,1\nu,"",2\n', r":3: column item is empty"),
        ("user,item,timestamp\n  ,i,1\n", r":2: column user is empty"),
        ("user,item,timestamp\nu,i\n", r":2: column timestamp is empty"),
        ("user,item,timestamp\nu,i,soon\n", r":2: column timestamp holds no time"),
        ("user,item\nu,i\n", r":1: no column timestamp"),
        ("user item timestamp\nu i 1\n", r":1: no column user, item, timestamp .*check the separator"),
    ],
)
def test_a_row_without_user_item_or_time_is_refused_by_line(write: Writer, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read_csv(write("de.csv", text), ColumnNames(), ",")


def test_a_parquet_row_is_refused_by_number(tmp_path: Path) -> None:
    path = tmp_path / "de.parquet"
    pl.DataFrame({"user": ["u", None], "item": ["i", "j"], "timestamp": [1, 2]}).write_parquet(path)
    with pytest.raises(DataError, match=r"de\.parquet row 2: column user is empty"):
        read_columns(path, ColumnNames())


def test_a_parquet_column_of_lists_holds_no_names(tmp_path: Path) -> None:
    path = tmp_path / "de.parquet"
    pl.DataFrame({"user": [["u"]], "item": ["i"], "timestamp": [1]}).write_parquet(path)
    with pytest.raises(DataError, match="column user is no text and no number"):
        read_columns(path, ColumnNames())
