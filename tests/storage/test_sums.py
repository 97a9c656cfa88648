from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fecosr.errors import StorageError
from fecosr.federation.aggregation import sum_hash
from fecosr.storage.archive import Archive, FolderFiles
from fecosr.storage.sums import SumStore, read_sum, sum_path


def test_a_sum_comes_back_from_under_its_hash(tmp_path: Path) -> None:
    total = np.array([1, 2**32 - 1, 7], dtype=np.uint32)
    digest = sum_hash(total)
    SumStore(FolderFiles(tmp_path / "sums")).save(digest, total)
    np.testing.assert_array_equal(read_sum(sum_path(tmp_path / "sums", digest)), total)


def test_every_archive_keeps_the_same_file(tmp_path: Path, archive: Archive) -> None:
    total = np.array([1, 2**32 - 1, 7], dtype=np.uint32)
    for files in (FolderFiles(tmp_path / "sums"), archive.files("sums")):
        SumStore(files).save(sum_hash(total), total)
    (name,) = archive.files("sums").names()
    assert archive.files("sums").read(name) == sum_path(tmp_path / "sums", sum_hash(total)).read_bytes()


@pytest.mark.parametrize(
    "tensors",
    [
        {"other": np.ones(3, np.uint32)},
        {"sum": np.ones(3, np.float32)},
        {"sum": np.ones((3, 1), np.uint32)},
        {"sum": np.ones(3, np.uint32), "more": np.ones(3, np.uint32)},
    ],
)
def test_anything_but_one_ring_vector_is_refused(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    save_file(tensors, tmp_path / "file")
    with pytest.raises(StorageError, match="exactly one uint32 vector"):
        read_sum(tmp_path / "file")


def test_a_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        read_sum(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"cut")
    with pytest.raises(StorageError, match="whole safetensors"):
        read_sum(tmp_path / "file")
