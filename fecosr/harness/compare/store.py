"""Finished cells and stages on disk: what is there under its key need not be done again.

A key is a hash of everything that decides the content (data, settings, code, seed, method), so a file is
never wrong, only unused. Files are arrays without pickle, replaced atomically.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fecosr.errors import StorageError
from fecosr.harness.compare.cells import Cell, CellResult
from fecosr.harness.compare.federation import Pretrained
from fecosr.harness.compare.heterogeneity import RoundMeasures
from fecosr.harness.compare.provenance import digest_of
from fecosr.harness.compare.variants import Variant
from fecosr.storage.atomic_files import make_folder, remove_partial_files, write_bytes
from fecosr.storage.lock import OwnerLock

Arrays = dict[str, npt.NDArray[Any]]

_META: Final = "meta"
_KEY_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Store:
    """Keep the cells and stages of one comparison.

    Attributes:
        folder: of the comparison.
        deciding: for each variant the hash of all that its cells have in common.
    """

    folder: Path
    deciding: Mapping[Variant, str]

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Own the folder for the length of a block, made if need be and rid of what a crash left unfinished.

        Raises:
            ConfigError: the folder cannot be made.
            StorageError: another comparison uses it.
        """
        make_folder(self.folder)
        lock = OwnerLock(self.folder / "compare.lock")
        try:
            for folder in (self.folder, self._cells, self._stages):
                make_folder(folder)
                remove_partial_files(folder)
            yield
        finally:
            lock.release()

    def read(self, cell: Cell) -> CellResult | None:
        """Return the result of a cell, if it is finished.

        Raises:
            StorageError: the file is damaged.
        """
        arrays = _read(self.path_of(cell))
        if arrays is None:
            return None
        meta = json.loads(arrays.pop(_META).tobytes())
        found: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for name, of_users in arrays.items():
            market, column = name.rsplit("/", 1)
            found.setdefault(market, {})[column] = of_users
        rounds = tuple(RoundMeasures(**measured) for measured in meta["rounds"])
        return CellResult({name: found[name] for name in meta["markets"]}, rounds, meta["seconds"])

    def write(self, cell: Cell, result: CellResult) -> None:
        """Keep the result of a cell.

        Raises:
            StorageError: the disk refused.
        """
        arrays: Arrays = {
            f"{market}/{column}": of_users
            for market, columns in result.ranks.items()
            for column, of_users in columns.items()
        }
        meta = {
            **asdict(cell),
            "markets": list(result.ranks),
            "rounds": [asdict(measured) for measured in result.rounds],
            "seconds": result.seconds,
        }
        _write(self.path_of(cell), arrays, meta)

    def path_of(self, cell: Cell) -> Path:
        """Return where the result of a cell belongs."""
        key = digest_of([self.deciding[cell.variant], asdict(cell)])[:_KEY_DIGITS]
        return self._cells / f"{cell.variant}.{cell.method}.seed{cell.seed}.{key}.npz"

    def stages(self, variant: Variant, seed: int) -> "StagesOnDisk":
        """Return the stages of one variant under one seed."""
        return StagesOnDisk(self._stages, self.deciding[variant], variant, seed)

    @property
    def _cells(self) -> Path:
        return self.folder / "cells"

    @property
    def _stages(self) -> Path:
        return self.folder / "stages"


@dataclass(frozen=True, slots=True)
class StagesOnDisk:
    """Keep pretraining that several methods share, so that it is done once, even over several starts."""

    folder: Path
    deciding: str
    variant: Variant
    seed: int

    def pretrained(self, name: str, make: Callable[[], Pretrained]) -> Pretrained:
        """Return what `make` made under this name, now or earlier."""
        key = digest_of([self.deciding, self.variant, self.seed, name])[:_KEY_DIGITS]
        path = self.folder / f"{self.variant}.{name}.seed{self.seed}.{key}.npz"
        arrays = _read(path)
        if arrays is not None:
            meta = json.loads(arrays[_META].tobytes())
            rounds = tuple(RoundMeasures(**measured) for measured in meta["rounds"])
            return Pretrained(arrays["parameters"], rounds)
        made = make()
        meta = {"stage": name, "rounds": [asdict(measured) for measured in made.rounds]}
        _write(path, {"parameters": made.parameters}, meta)
        return made


def _read(path: Path) -> Arrays | None:
    if not path.is_file():
        return None
    try:
        # From memory: numpy leaves a damaged file open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise StorageError(f"{path}: damaged ({type(error).__name__}); delete it and start again") from None


def _write(path: Path, arrays: Arrays, meta: Mapping[str, Any]) -> None:
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez_compressed(buffer, allow_pickle=False, **{**arrays, _META: text})
    write_bytes(path, buffer.getvalue())
