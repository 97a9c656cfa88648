from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fecosr.errors import ConfigError, MisuseError
from fecosr.storage.vector_cache import VectorFolder

NAME = "ab" * 32
VECTORS = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_block_comes_back(tmp_path: Path) -> None:
    kept = VectorFolder(tmp_path / "vectors")
    assert kept.load(NAME) is None
    kept.store(NAME, VECTORS)
    found = VectorFolder(tmp_path / "vectors").load(NAME)
    assert found is not None
    np.testing.assert_array_equal(found, VECTORS)


@pytest.mark.parametrize(
    "tensors",
    [
        {"others": VECTORS},
        {"vectors": VECTORS[0]},
        {"vectors": VECTORS.astype(np.float64)},
        {"vectors": np.full((1, 3), np.nan, np.float32)},
    ],
)
def test_what_is_no_block_is_as_good_as_nothing(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    save_file(tensors, tmp_path / f"{NAME}.safetensors")
    assert VectorFolder(tmp_path).load(NAME) is None


def test_half_a_file_is_as_good_as_nothing(tmp_path: Path) -> None:
    kept = VectorFolder(tmp_path)
    kept.store(NAME, VECTORS)
    file = tmp_path / f"{NAME}.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    assert kept.load(NAME) is None


def test_a_name_that_is_no_hash_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(MisuseError):
        VectorFolder(tmp_path).store("../elsewhere", VECTORS)


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="cannot be used as a folder"):
        VectorFolder(tmp_path / "taken").store(NAME, VECTORS)
