"""A data file as a table that knows in which line of the file each of its rows stands."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import polars as pl

from fecosr.errors import DataError

ROW: Final = "row number"
"""The column that we add to a file's own: its rows numbered from 0."""


@dataclass(frozen=True, slots=True)
class SourceTable:
    """Hold what stands in one file.

    Attributes:
        path: the file.
        frame: its columns and `ROW`; text formats keep every column as text.
        separator: of the columns; empty for formats that have rows but no lines.
        quoted: whether fields of a text format may be quoted, and so may hold line breaks.
    """

    path: Path
    frame: pl.DataFrame
    separator: str = ""
    quoted: bool = False

    def require(self, *names: str) -> None:
        """Refuse the file unless it has all the columns `names`."""
        missing = [name for name in names if name not in self.frame.columns]
        if not missing:
            return
        number = self.frame.width - (ROW in self.frame.columns)
        if self.separator and number == 1:
            remedy = f"the first line has one column when split at {self.separator!r}: check the separator"
        else:
            remedy = f"none of the {number} columns has that name: check the header and the configured names"
        raise DataError(f"no column {', '.join(missing)}", remedy=remedy, source=self.place_of_header())

    def refuse_where(self, condition: pl.Expr | pl.Series, message: str, remedy: str) -> None:
        """Refuse the file at the first row where `condition` holds."""
        bad = self.frame.filter(condition)
        if not bad.is_empty():
            count = f", and in {bad.height - 1} more rows" if bad.height > 1 else ""
            raise DataError(message + count, remedy=remedy, source=self.place(int(bad[ROW][0])))

    def place_of_header(self) -> str:
        """Return where the column names stand."""
        return f"{self.path}:1" if self.separator else str(self.path)

    def place(self, row: int) -> str:
        """Return `file:line` of a row, counting lines from 1 as an editor does."""
        if not self.separator:
            return f"{self.path} row {row + 1}"
        if not self.quoted:
            return f"{self.path}:{row + 2}"
        records = _records(_lines(_contents(self.path)), self.separator, quoted=True)
        for number, (first, _, _) in enumerate(records):
            if number == row + 1:
                return f"{self.path}:{first}"
        return f"{self.path} row {row + 1}"


def read_delimited(path: Path, separator: str, *, quoted: bool) -> SourceTable:
    """Return a text table with a header, plain or gzip compressed, blank lines left out.

    Raises:
        DataError: the file cannot be opened, or is no such table.
    """
    contents = _contents(path)
    _require_text(path, contents)
    try:
        frame = pl.read_csv(
            contents,
            separator=separator,
            quote_char='"' if quoted else None,
            infer_schema=False,
            raise_if_empty=False,
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        _refuse_text(path, contents, separator, quoted)
    if not frame.columns:
        raise DataError("the file is empty", remedy="give a file with a header line", source=str(path))
    numbered = _numbered(frame)
    blank = pl.all_horizontal(pl.exclude(ROW).is_null())
    return SourceTable(path, numbered.filter(~blank), separator, quoted)


def read_parquet(path: Path) -> SourceTable:
    """Return a Parquet table.

    Polars itself ends the process on some files that were damaged inside after they were written.

    Raises:
        DataError: the file cannot be opened, or is no Parquet file.
    """
    require_file(path)
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        raise DataError(
            "not a readable Parquet file", remedy="write it again or copy it again", source=str(path)
        ) from None
    return SourceTable(path, _numbered(frame))


def read_lines(path: Path) -> list[str]:
    """Return a text without a header, plain or gzip compressed, line by line.

    Raises:
        DataError: the file cannot be opened, or is no text.
    """
    contents = _contents(path)
    _require_text(path, contents)
    return _lines(contents)


def require_file(path: Path) -> None:
    """Refuse a path that is not an existing file."""
    if path.is_dir():
        raise DataError("a folder, not a file", remedy="name the file in it", source=str(path))
    if not path.is_file():
        raise DataError("no such file", remedy="check the path of the data", source=str(path))


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table with its rows numbered, whatever its columns are called."""
    renamed = frame.rename({ROW: f"{ROW} of the file"}, strict=False)
    return renamed.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))


def _contents(path: Path) -> bytes:
    """Return the bytes of a file, decompressed if its name ends in .gz."""
    require_file(path)
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as stream:
            return stream.read()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError("damaged gzip file", remedy="copy the file again", source=str(path)) from None
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}", remedy="check its permissions", source=str(path)
        ) from None


def _require_text(path: Path, contents: bytes) -> None:
    """Refuse bytes that are no UTF-8; polars looks at some of them only."""
    try:
        contents.decode()
    except UnicodeDecodeError as error:
        line = contents.count(b"\n", 0, error.start) + 1
        raise DataError("not UTF-8 text", remedy="save it as UTF-8", source=f"{path}:{line}") from None


def _refuse_text(path: Path, contents: bytes, separator: str, quoted: bool) -> NoReturn:
    """Refuse a text that polars could not read as a table, naming the first line that explains it."""
    columns = 0
    lines = _lines(contents)
    for first, last, fields in _records(lines, separator, quoted=quoted):
        columns = columns or len(fields)
        if quoted and "".join(lines[first - 1 : last]).count('"') % 2:
            raise DataError(
                "a quote is not closed, or stands inside a field",
                remedy="close it, or double it and quote the field",
                source=f"{path}:{first}",
            )
        if len(fields) > columns:
            raise DataError(
                f"{len(fields)} fields where the header has {columns}",
                remedy="quote fields that hold the separator, or correct the line",
                source=f"{path}:{first}",
            )
    raise DataError(f"not a table separated by {separator!r}", remedy="check the format", source=str(path))


def _lines(contents: bytes) -> list[str]:
    """Return a text in lines, each with its line break."""
    return io.StringIO(contents.decode(), newline="").readlines()


def _records(lines: list[str], separator: str, *, quoted: bool) -> Iterator[tuple[int, int, list[str]]]:
    """Yield each record of a text table, header first, after the numbers of its first and its last line.

    Polars does not say where a record stands, so this reads the text once more when there is something to say
    about it. It stops at what the csv module cannot read.
    """
    reader = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    first = 1
    with suppress(csv.Error):
        for fields in reader:
            yield first, reader.line_num, fields
            first = reader.line_num + 1
