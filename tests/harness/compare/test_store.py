"""What is on disk is what was put there, under a key of all that decides it."""

from pathlib import Path

import numpy as np
import pytest

from fecosr.errors import ConfigError, StorageError
from fecosr.harness.compare.cells import COLUMNS, Cell, CellResult
from fecosr.harness.compare.federation import Pretrained
from fecosr.harness.compare.heterogeneity import RoundMeasures
from fecosr.harness.compare.store import Store

CELL = Cell("fecosr", "raw", 3)
ROUNDS = (RoundMeasures(1, 2.5, 0.1, 0.3, 4.0), RoundMeasures(2, 2.0, 0.1, 0.2, float("inf")))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "out", {"raw": "a", "merged": "b"})
    with store.opened():
        pass
    return store


@pytest.fixture
def result() -> CellResult:
    generator = np.random.default_rng(0)
    ranks = {
        market: {column: generator.integers(1, 9, size=5).astype(np.int32) for column in COLUMNS}
        for market in ("zz", "aa")
    }
    return CellResult(ranks, ROUNDS, 12.5)


def test_a_cell_comes_back_as_it_was(store: Store, result: CellResult) -> None:
    assert store.read(CELL) is None
    store.write(CELL, result)
    found = store.read(CELL)
    assert found is not None
    assert (found.rounds, found.seconds) == (ROUNDS, 12.5)
    assert list(found.ranks) == ["zz", "aa"]
    for market, columns in result.ranks.items():
        for column, ranks in columns.items():
            np.testing.assert_array_equal(found.ranks[market][column], ranks)


@pytest.mark.parametrize(
    "other", [Cell("fecosr", "raw", 4), Cell("fecosr", "merged", 3), Cell("ditto", "raw", 3)]
)
def test_another_cell_is_another_file(store: Store, result: CellResult, other: Cell) -> None:
    store.write(CELL, result)
    assert store.read(other) is None


def test_what_was_made_from_something_else_is_not_found(
    store: Store, result: CellResult, tmp_path: Path
) -> None:
    store.write(CELL, result)
    assert Store(tmp_path / "out", {"raw": "other data"}).read(CELL) is None


@pytest.mark.parametrize("contents", [b"", b"PK\x03\x04 cut off", b"\x80\x04pickle"])
def test_a_damaged_file_is_named(store: Store, result: CellResult, contents: bytes) -> None:
    store.write(CELL, result)
    store.path_of(CELL).write_bytes(contents)
    with pytest.raises(StorageError, match=r"raw\.fecosr\.seed3.* delete it and start again"):
        store.read(CELL)


def test_a_stage_is_made_once_and_survives(store: Store) -> None:
    made = Pretrained(np.arange(4, dtype=np.float32), ROUNDS)
    stages = store.stages("raw", 1)
    stages.pretrained("fedavg-ce", lambda: made)
    found = store.stages("raw", 1).pretrained("fedavg-ce", pytest.fail)
    np.testing.assert_array_equal(found.parameters, made.parameters)
    assert found.rounds == ROUNDS
    for variant, seed, name in (("merged", 1, "fedavg-ce"), ("raw", 2, "fedavg-ce"), ("raw", 1, "fecosr")):
        other = Pretrained(np.zeros(1, np.float32), ())
        assert store.stages(variant, seed).pretrained(name, lambda other=other: other) is other  # type: ignore[arg-type, misc]


def test_opening_clears_away_what_a_crash_left(store: Store) -> None:
    left = store.path_of(CELL).with_name(".raw.fecosr.npz.77.partial")
    left.write_bytes(b"half")
    with store.opened():
        assert not left.exists()


def test_a_folder_is_used_by_one_comparison_at_a_time(store: Store) -> None:
    with store.opened(), pytest.raises(StorageError, match="in use"), store.opened():
        pass
    with store.opened():
        pass


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match="cannot be used as a folder"),
        Store(tmp_path / "file", {}).opened(),
    ):
        pass
