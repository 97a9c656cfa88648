"""Direct writes: the same bytes as any other write, or an honest no."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from fecosr.errors import StorageError
from fecosr.storage import atomic_files
from fecosr.storage.atomic_files import LARGE_BYTES, write_bytes
from fecosr.storage.direct_file import write_directly


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, (4 << 20) - 5, 4 << 20, (9 << 20) + 4097])
def test_the_file_holds_all_parts_and_nothing_else(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "file"
    content = np.random.default_rng(1).integers(0, 256, size_bytes, dtype=np.uint8)
    path.write_bytes(b"older and longer" * 1000)
    if not write_directly(path, [b"header", content.data]):
        pytest.skip("this file system has no direct writes")
    assert path.read_bytes() == b"header" + content.tobytes()


def test_where_there_are_no_direct_writes_a_large_file_goes_through_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _blocks: memoryview) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    content = bytes(range(256)) * (LARGE_BYTES >> 8)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", refuse)
        assert not write_directly(tmp_path / "file", [content])
        write_bytes(tmp_path / "file", b"header", content)
    assert (tmp_path / "file").read_bytes() == b"header" + content


def test_a_short_write_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, content = os.write, bytes(range(256)) * 64
    monkeypatch.setattr(os, "write", lambda descriptor, blocks: write(descriptor, blocks[:4096]))
    if not write_directly(tmp_path / "file", [content]):
        pytest.skip("this file system has no direct writes")
    assert (tmp_path / "file").read_bytes() == content


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, _parts: object) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic_files, "write_directly", refuse)
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(StorageError, match="No space left"):
        write_bytes(tmp_path / "file", bytes(LARGE_BYTES))
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_small_file_goes_through_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic_files, "write_directly", None)
    write_bytes(tmp_path / "file", b"a", b"b")
    assert (tmp_path / "file").read_bytes() == b"ab"
