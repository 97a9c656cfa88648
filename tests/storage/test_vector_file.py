from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from fecosr.errors import MisuseError
from fecosr.storage.vector_file import write_vector


@pytest.mark.parametrize("dtype", [np.float32, np.uint32])
@pytest.mark.parametrize("length", [1, 7, 1000])
def test_the_library_reads_what_was_written(tmp_path: Path, dtype: type[np.generic], length: int) -> None:
    vector = np.arange(length).astype(dtype)
    write_vector(tmp_path / "file", "values", vector, {"round": "3"})
    tensors = load_file(tmp_path / "file")
    assert tensors.keys() == {"values"}
    assert tensors["values"].dtype == dtype
    np.testing.assert_array_equal(tensors["values"], vector)
    with safe_open(tmp_path / "file", framework="np") as file:
        assert file.metadata() == {"round": "3"}


def test_without_metadata_the_file_is_the_library_s_own(tmp_path: Path) -> None:
    vector = np.linspace(-1, 1, 9, dtype=np.float32)
    write_vector(tmp_path / "ours", "values", vector)
    save_file({"values": vector}, tmp_path / "theirs")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_every_other_element_is_written_as_a_row(tmp_path: Path) -> None:
    write_vector(tmp_path / "file", "values", np.arange(10, dtype=np.uint32)[::2])
    assert load_file(tmp_path / "file")["values"].tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("vector", [np.ones((2, 2), np.float32), np.ones(3), np.ones(3, np.int32)])
def test_anything_but_a_row_of_the_two_types_is_refused(tmp_path: Path, vector: np.ndarray) -> None:
    with pytest.raises(MisuseError, match="one row"):
        write_vector(tmp_path / "file", "values", vector)
    assert not list(tmp_path.iterdir())
