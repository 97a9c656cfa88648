"""Vectors that an operator supplies: both formats, and everything that can be wrong with them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from fecosr.errors import DataError, OtherSemanticSpace
from fecosr.recommender.semantics import (
    SOURCE_GIVEN,
    EmbeddingAccess,
    catalogue_semantics,
    embedding_dimension,
    pinned,
)
from fecosr.recommender.semantics.embedding_files import sha256_of
from fecosr.recommender.semantics.given_vectors import read_vectors
from fecosr.recommender.settings import SemanticsSettings

IDS = ["a", "b", "c"]
ROWS = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
SETTINGS = SemanticsSettings(kind="vectors", dimension=8)
STATED = "ab" * 32


def parquet(path: Path, items: list[str | None], rows: list[object], **metadata: str) -> Path:
    pl.DataFrame({"item": items, "vector": rows}, strict=False).write_parquet(path, metadata=metadata or None)
    return path


def tensors(path: Path, **metadata: str) -> Path:
    save_file(dict(zip(IDS, ROWS, strict=True)), path, metadata=metadata or None)
    return path


@pytest.fixture(params=["parquet", "safetensors"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "parquet":
        return parquet(tmp_path / "v.parquet", [*IDS], ROWS.tolist())
    return tensors(tmp_path / "v.safetensors")


def test_vectors_come_in_the_order_of_the_catalogue(file: Path) -> None:
    np.testing.assert_array_equal(read_vectors(file, ["c", "a"]), ROWS[[2, 0]])


def test_a_catalogue_takes_them_at_length_one(file: Path) -> None:
    found = catalogue_semantics(IDS, None, pinned(SETTINGS, file), access=EmbeddingAccess(file))
    assert found.source == SOURCE_GIVEN
    expected = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    np.testing.assert_allclose(found.vectors, expected, rtol=1e-6)
    assert embedding_dimension(SETTINGS, EmbeddingAccess(file)) == 8


def test_the_file_itself_is_what_markets_agree_on(file: Path) -> None:
    settings = pinned(SETTINGS, file)
    assert settings.embedding_hash == sha256_of(file)
    other = SemanticsSettings(kind="vectors", dimension=8, embedding_hash="cd" * 32)
    with pytest.raises(OtherSemanticSpace):
        catalogue_semantics(IDS, None, other, access=EmbeddingAccess(file))


def test_markets_with_a_file_each_agree_on_what_made_them(tmp_path: Path) -> None:
    ours = parquet(tmp_path / "v.parquet", ["a"], [[1.0, 2.0]], embedding_hash=STATED)
    theirs = tensors(tmp_path / "v.safetensors", embedding_hash=STATED)
    assert pinned(SETTINGS, ours).embedding_hash == pinned(SETTINGS, theirs).embedding_hash == STATED


def test_a_file_that_states_nonsense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not 64 hexadecimal digits"):
        pinned(SETTINGS, tensors(tmp_path / "v.safetensors", embedding_hash="mine"))


def test_missing_items_are_named(file: Path) -> None:
    with pytest.raises(DataError, match="no vector for item 'x', 'y', 'z' and 1 more"):
        read_vectors(file, ["a", "x", "y", "z", "w"])


@pytest.mark.parametrize(
    ("items", "rows", "said"),
    [
        (["a", "b"], [[1.0, 2.0], [1.0]], "'b' has another number of dimensions than that of 'a'"),
        (["a", "b"], [[1.0, 2.0], [1.0, float("nan")]], "'b' is not finite"),
        (["a", "b"], [[1.0, 2.0], [1.0, None]], "'b' is not finite"),
        (["a", "b"], [[1.0, 2.0], [0.0, 0.0]], "'b' is zero"),
        (["a", "b", "a"], [[1.0], [2.0], [3.0]], "'a' stands there more than once"),
        (["a", None], [[1.0], [2.0]], "rows without an item"),
        (["a", "b"], [[1.0], None], "without a vector"),
        (["a", "b"], ["x", "y"], "must hold lists of numbers"),
        (["a", "b"], [["x"], ["y"]], "must hold lists of numbers"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(
    tmp_path: Path, items: list[str | None], rows: list[object], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read_vectors(parquet(tmp_path / "v.parquet", items, rows), ["a", "b"])


def test_what_is_wrong_with_tensors_is_said(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    save_file({"a": ROWS[:2], "b": np.array([1, 2])}, path)
    for item in "ab":
        with pytest.raises(DataError, match=f"tensor of item '{item}' is not one row of floats"):
            read_vectors(path, [item])


@pytest.mark.parametrize("name", ["v.parquet", "v.safetensors", "missing.parquet", "missing.safetensors"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"PAR1 no such thing")
    with pytest.raises(DataError, match="cannot be read"):
        read_vectors(tmp_path / name, ["a"])
    with pytest.raises(DataError, match="cannot be read"):
        pinned(SETTINGS, tmp_path / name)


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"item": ["a"], "values": [[1.0]]}).write_parquet(tmp_path / "v.parquet")
    with pytest.raises(DataError, match="needs the columns item and vector"):
        read_vectors(tmp_path / "v.parquet", ["a"])
