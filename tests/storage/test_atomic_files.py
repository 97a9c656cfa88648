import json
import os
from pathlib import Path

import pytest

from fecosr.errors import ConfigError, StorageError
from fecosr.storage.atomic_files import make_folder, remove_partial_files, write_bytes, write_json


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_content_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"b": 1, "a": "é"})
    write_json(path, [2])
    assert json.loads(path.read_text(encoding="utf-8")) == [2]
    assert _names(tmp_path) == ["state.json"]


def test_a_crash_between_writing_and_renaming_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(self: Path, target: Path) -> None:
        raise Killed

    path = tmp_path / "model"
    write_bytes(path, b"old")
    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(Killed):
        write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert len(_names(tmp_path)) == 2
    remove_partial_files(tmp_path)
    assert _names(tmp_path) == ["model"]


def test_a_full_disk_leaves_the_old_content_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "model"
    write_bytes(path, b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match="No space left"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["model"]


def test_data_is_synced_before_the_rename_and_the_folder_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, rename = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        order.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        sync(descriptor)

    def noted_rename(self: Path, target: Path) -> Path:
        order.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    write_bytes(tmp_path / "model", b"new")
    assert order == ["file", "rename", "folder"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="absent"):
        write_bytes(tmp_path / "absent" / "model", b"new")


def test_values_json_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "state.json", float("nan"))
    assert _names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "reason"), [("file", "File exists"), ("file/deeper", "Not a directory"), ("x" * 300, "too long")]
)
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=f"{name}: cannot be used as a folder: .*{reason}"):
        make_folder(tmp_path / name)


def test_a_folder_is_made_with_those_above_it_and_may_be_there(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "some" / "where")
    assert (tmp_path / "some" / "where").is_dir()
