import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from fecosr.data.readers.tables import read_delimited, read_parquet
from fecosr.errors import DataError

Writer = Callable[[str, str], Path]


def test_plain_and_compressed_files_read_alike_and_blank_lines_do_not_count(write: Writer) -> None:
    text = "user,item\nu,1\n\nv,2\n"
    plain = read_delimited(write("a.csv", text), ",", quoted=True)
    packed = read_delimited(write("a.csv.gz", text), ",", quoted=True)
    assert plain.frame.rows() == packed.frame.rows() == [(0, "u", "1"), (2, "v", "2")]
    assert plain.place(2).endswith("a.csv:4")


def test_a_line_is_named_as_an_editor_counts_it(write: Writer) -> None:
    table = read_delimited(write("a.csv", 'user,item\n"two\nlines",1\n\n"u",\nv,2\n'), ",", quoted=True)
    assert table.frame.rows() == [(0, "two\nlines", "1"), (2, "u", None), (3, "v", "2")]
    with pytest.raises(DataError, match=r"a\.csv:5: item is missing \(add it\)"):
        table.refuse_where(pl.col("item").is_null(), "item is missing", "add it")


def test_the_number_of_further_bad_rows_is_told(write: Writer) -> None:
    table = read_delimited(write("a.txt", "a b\nx 1\ny 2\nz 3\n"), " ", quoted=False)
    with pytest.raises(DataError, match=r"a\.txt:3: bad, and in 1 more rows"):
        table.refuse_where(pl.col("b") > "1", "bad", "")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n3,4,5\n", r"x\.csv:3: 3 fields where the header has 2"),
        ('a,b\n"1\n",2\n3,4,5\n', r"x\.csv:4: 3 fields where the header has 2"),
        ('a,b\n1,2\n"open,4\n5,6\n', r"x\.csv:3: a quote is not closed"),
        ('a,b\n1,2\n3,"4\n5",6"\n7,8\n', r"x\.csv:3: a quote is not closed, or stands inside a field"),
    ],
)
def test_text_that_is_no_table_is_refused(write: Writer, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read_delimited(write("x.csv", text), ",", quoted=True)


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("a,b\n1,2\ncafé,3\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"x\.csv:3: not UTF-8 text \(save it as UTF-8\)"):
        read_delimited(tmp_path / "x.csv", ",", quoted=True)


def test_another_encoding_in_the_header_is_noticed_too(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("café,b\n1,2\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"x\.csv:1: not UTF-8 text"):
        read_delimited(tmp_path / "x.csv", ",", quoted=True)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for read in (read_parquet, lambda path: read_delimited(path, ",", quoted=True)):
        with pytest.raises(DataError, match=r"gone: no such file"):
            read(tmp_path / "gone")
        with pytest.raises(DataError, match="a folder, not a file"):
            read(tmp_path)


def test_a_cut_off_gzip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:-12])
    with pytest.raises(DataError, match=r"x\.csv\.gz: damaged gzip file \(copy the file again\)"):
        read_delimited(tmp_path / "x.csv.gz", ",", quoted=True)


def test_plain_text_is_no_gzip_file_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="damaged gzip file"):
        read_delimited(tmp_path / "x.csv.gz", ",", quoted=True)


def test_flipped_bits_in_a_gzip_file_are_noticed(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(bytes(range(48, 58)) * 1000))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "x.csv.gz").write_bytes(packed)
    with pytest.raises(DataError, match="damaged gzip file"):
        read_delimited(tmp_path / "x.csv.gz", ",", quoted=True)


@pytest.mark.parametrize("contents", [b"", b"a,b\n1,2\n", b"PAR1" + bytes(40) + b"PAR1"])
def test_what_is_no_parquet_file_is_refused(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(contents)
    with pytest.raises(DataError, match=r"x\.parquet: not a readable Parquet file"):
        read_parquet(tmp_path / "x.parquet")


def test_a_wrong_separator_is_told_from_a_wrong_name(write: Writer) -> None:
    path = write("x.csv", "user;item\nu;i\n")
    with pytest.raises(
        DataError, match=r"x\.csv:1: no column user, item .*split at ',': check the separator"
    ):
        read_delimited(path, ",", quoted=True).require("user", "item")
    with pytest.raises(DataError, match=r"no column customer \(none of the 2 columns"):
        read_delimited(path, ";", quoted=True).require("customer", "item")
