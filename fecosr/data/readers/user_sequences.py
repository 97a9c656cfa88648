"""User sequences: one user per line, `user item item ...` in time order, as published with S3-Rec."""

from pathlib import Path

import polars as pl

from fecosr.data.readers.tables import read_lines
from fecosr.errors import DataError


def read_user_sequences(path: Path) -> pl.DataFrame:
    """Return the interactions of a file of user sequences, plain or gzip compressed, blank lines left out.

    The format has no times: an item's place in its line, from 0, stands in for the seconds.

    Raises:
        DataError: the file cannot be used, a user has no items, or stands on two lines.
    """
    line_of: dict[str, int] = {}
    users: list[str] = []
    items: list[str] = []
    places: list[int] = []
    for number, line in enumerate(read_lines(path), start=1):
        user, *sequence = line.split() or [""]
        if not user:
            continue
        _check(path, number, sequence, line_of.setdefault(user, number))
        users += [user] * len(sequence)
        items += sequence
        places += range(len(sequence))
    columns = {"user": users, "item": items, "timestamp": places, "row": range(len(users))}
    schema = {"user": pl.String, "item": pl.String, "timestamp": pl.Int64, "row": pl.Int64}
    return pl.DataFrame(columns, schema=schema)


def _check(path: Path, number: int, sequence: list[str], first: int) -> None:
    """Refuse a line that is not the one sequence of its user."""
    if not sequence:
        raise DataError(
            "a user without items",
            remedy="separate user and items by spaces, or delete the line",
            source=f"{path}:{number}",
        )
    if first != number:
        raise DataError(
            f"the same user as in line {first}", remedy="join the two lines", source=f"{path}:{number}"
        )
