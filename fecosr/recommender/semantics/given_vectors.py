"""Vectors that somebody else made: a file with one vector for every item id.

    Parquet         the columns item (a string) and vector (a list of as many numbers in every row)
    safetensors     one tensor per item, named by the item's id

Markets with a catalogue of their own have a file of their own. What made all of them then stands in each as
the entry `embedding_hash` of the file's metadata: 64 hexadecimal digits, the same in every market.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from safetensors import SafetensorError, safe_open

from fecosr.errors import DataError
from fecosr.recommender.semantics.signs import FloatArray

STATED: Final = "embedding_hash"

_COLUMNS: Final = ("item", "vector")
_NAMED: Final = 3
"""Missing items that an error names."""


def stated_hash(path: Path) -> str:
    """Return the `embedding_hash` that the file states in its metadata; empty where it states none.

    Raises:
        DataError: the file cannot be read, or states something else under that name.
    """
    stated = _metadata(path).get(STATED, "")
    if re.fullmatch(r"[0-9a-f]{64}|", stated) is None:
        raise _unusable(f"{STATED} in its metadata is not 64 hexadecimal digits", path)
    return stated


def vector_length(path: Path) -> int:
    """Return E, the number of dimensions of the first vector in the file.

    Raises:
        DataError: the file cannot be read, or holds none.
    """
    if path.suffix == ".parquet":
        items = [str(item) for item in _parquet_frame(path)["item"][:1]]
    else:
        try:
            with safe_open(path, framework="np") as file:
                items = list(file.keys())[:1]
        except (OSError, SafetensorError):
            raise _unreadable(path) from None
    if not items:
        raise _unusable("holds no vector", path)
    return len(read_vectors(path, items)[0])


def read_vectors(path: Path, item_ids: Sequence[str]) -> FloatArray:
    """Return the vectors of the given items, float32 [V, E], as they stand in the file.

    Raises:
        DataError: the file cannot be read, lacks an item, holds one twice or with another number of
            dimensions, or a vector is zero or not finite; the error names an item.
    """
    rows = _parquet_rows(path, item_ids) if path.suffix == ".parquet" else _tensor_rows(path, item_ids)
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        odd = next(item for item, row in zip(item_ids, rows, strict=True) if len(row) != len(rows[0]))
        raise _unusable(
            f"the vector of item {odd!r} has another number of dimensions than that of {item_ids[0]!r}", path
        )
    vectors: FloatArray = np.array(rows, np.float32)  # [V, E]
    for rule, broken in (
        ("is not finite", ~np.isfinite(vectors).all(axis=1)),
        ("is zero, and points nowhere", ~vectors.any(axis=1)),
    ):
        if broken.any():
            raise _unusable(f"the vector of item {item_ids[int(broken.argmax())]!r} {rule}", path)
    return vectors


def _metadata(path: Path) -> dict[str, str]:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet_metadata(path)
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError, pl.exceptions.PolarsError):
        raise _unreadable(path) from None


def _parquet_frame(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        raise _unreadable(path) from None
    if not set(_COLUMNS) <= set(frame.columns):
        raise _unusable(f"needs the columns {' and '.join(_COLUMNS)}", path)
    kind = frame.schema["vector"]
    inner = kind.inner if isinstance(kind, pl.List | pl.Array) else None
    if inner is None or not isinstance(inner, pl.DataType) or not inner.is_numeric():
        raise _unusable("column vector must hold lists of numbers", path)
    frame = frame.select(pl.col("item").cast(pl.String), pl.col("vector").cast(pl.List(pl.Float64)))
    if frame.null_count().sum_horizontal().item():
        raise _unusable("has rows without an item or without a vector", path)
    twice = frame.filter(pl.col("item").is_duplicated())
    if not twice.is_empty():
        raise _unusable(f"item {twice['item'][0]!r} stands there more than once", path)
    return frame


def _parquet_rows(path: Path, item_ids: Sequence[str]) -> list[Any]:
    frame = _parquet_frame(path)
    row_of = dict(frame.with_row_index().select("item", "index").iter_rows())
    _refuse_missing(path, [item for item in item_ids if item not in row_of])
    # A missing number within a list becomes NaN, which is refused by name later on.
    picked = frame["vector"][[row_of[item] for item in item_ids]]
    return [values.to_numpy() for values in picked]


def _tensor_rows(path: Path, item_ids: Sequence[str]) -> list[Any]:
    try:
        with safe_open(path, framework="np") as file:
            known = set(file.keys())
            _refuse_missing(path, [item for item in item_ids if item not in known])
            rows = [file.get_tensor(item) for item in item_ids]
    except (OSError, SafetensorError):
        raise _unreadable(path) from None
    except TypeError:
        raise _unusable("holds numbers that are not float16, float32 or float64", path) from None
    for item, row in zip(item_ids, rows, strict=True):
        if row.ndim != 1 or row.dtype.kind != "f":
            raise _unusable(f"the tensor of item {item!r} is not one row of floats", path)
    return rows


def _refuse_missing(path: Path, missing: Sequence[str]) -> None:
    if missing:
        some = ", ".join(map(repr, missing[:_NAMED]))
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise DataError(
            f"has no vector for item {some}{more}",
            remedy="add them, or leave these items out of the market's data",
            source=str(path),
        )


def _unreadable(path: Path) -> DataError:
    return DataError(
        "cannot be read", remedy="give a Parquet (.parquet) or safetensors file of vectors", source=str(path)
    )


def _unusable(message: str, path: Path) -> DataError:
    return DataError(message, remedy="correct the file of vectors", source=str(path))
