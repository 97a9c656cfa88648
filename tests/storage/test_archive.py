"""What every archive promises, whether it is a folder or a database."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fecosr.errors import StorageError
from fecosr.storage.archive import Archive, FolderArchive

Opened = Callable[[], Archive]


def test_files_are_replaced_read_named_and_deleted(archive: Archive) -> None:
    files = archive.files("models")
    files.write("b", b"one", b"two")
    files.write("a", b"old")
    files.write("a", np.arange(3, dtype=np.float32).data)
    assert files.read("a") == np.arange(3, dtype="<f4").tobytes()
    assert files.read("b") == b"onetwo"
    assert files.names() == ["a", "b"]
    files.delete("a")
    files.delete("never there")
    assert files.names() == ["b"]


def test_what_is_not_there_is_named(archive: Archive) -> None:
    with pytest.raises(StorageError, match=r"sums/f00.*cannot be read"):
        archive.files("sums").read("f00")


def test_an_empty_file_is_there_too(archive: Archive) -> None:
    files = archive.files()
    files.write("nothing", np.ones(0, dtype=np.uint32).data)
    assert files.names() == ["nothing"]
    assert files.read("nothing") == b""


def test_a_file_may_be_larger_than_a_part(archive: Archive) -> None:
    rows = np.random.default_rng(1).integers(0, 2**32, 2_500_001, dtype=np.uint32)
    archive.files("sums").write("large", b"head", rows.data)
    assert archive.files("sums").read("large") == b"head" + rows.tobytes()


def test_folders_do_not_mix(archive: Archive) -> None:
    for folder in ("", "sums", "sums_of_old"):
        archive.files(folder).write("x", folder.encode())
    assert [archive.files(folder).names() for folder in ("", "sums")] == [["x"], ["x"]]
    assert archive.files("sums").read("x") == b"sums"
    archive.files("sums").delete("x")
    assert archive.files("").read("x") == b""


def test_everything_is_there_after_opening_again(open_archive: Opened, archive: Archive) -> None:
    lines = archive.lines("ledger.jsonl")
    lines.append(b'{"first":1}')
    lines.append("zw\u00f6lf".encode())
    archive.files("models").write("m", b"\x00\xff")
    lines.close()
    again = open_archive()
    assert again.files("models").read("m") == b"\x00\xff"
    reopened = again.lines("ledger.jsonl")
    assert reopened.read() == [b'{"first":1}', "zw\u00f6lf".encode()]
    reopened.append(b"third")
    assert reopened.read()[2:] == [b"third"]
    reopened.close()


def test_closed_lines_store_nothing(archive: Archive) -> None:
    lines = archive.lines("ledger.jsonl")
    lines.close()
    lines.close()
    with pytest.raises(StorageError):
        lines.append(b"late")


def test_a_folder_is_made_when_something_is_opened_in_it(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    archive.files("models")
    assert (tmp_path / "state" / "models").is_dir()
