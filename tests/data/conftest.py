"""Small data files, and the real ones where they are at hand."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

Writer = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a text file, compressed if its name ends in .gz."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write_file


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the real data sets, or skip."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("FECOSR_DATA", default))
    if not (folder / "xmarket-electronics").is_dir():
        pytest.skip("the real data sets are not at hand (set FECOSR_DATA)")
    return folder
