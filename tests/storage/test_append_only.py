import os
from pathlib import Path

import pytest

from fecosr.errors import StorageError
from fecosr.storage.append_only import AppendOnlyLines


def test_lines_are_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = AppendOnlyLines(path)
    lines.append(b"one")
    lines.append(b"")
    lines.append(b"three")
    lines.close()
    again = AppendOnlyLines(path)
    assert again.read() == [b"one", b"", b"three"]
    again.close()


@pytest.mark.parametrize("torn", [b"t", b"two", b"two\x00\x00", b"\x00" * 4096])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"one\n" + torn)
    lines = AppendOnlyLines(path)
    lines.append(b"second")
    lines.close()
    assert path.read_bytes() == b"one\nsecond\n"


def test_every_prefix_of_an_append_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    whole = b"one\ntwo\n"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        lines = AppendOnlyLines(path)
        expected = [line for line, end in ((b"one", 4), (b"two", 8)) if end <= cut]
        assert lines.read() == expected
        lines.close()


def test_a_second_owner_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    first = AppendOnlyLines(path)
    with pytest.raises(StorageError, match="in use"):
        AppendOnlyLines(path)
    first.close()
    AppendOnlyLines(path).close()


def test_a_failed_sync_closes_the_file_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    lines = AppendOnlyLines(tmp_path / "log.jsonl")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(StorageError, match="Input/output"):
            lines.append(b"one")
    with pytest.raises(StorageError, match="closed"):
        lines.append(b"two")


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:2]))
    lines = AppendOnlyLines(tmp_path / "log.jsonl")
    lines.append(b"a long line")
    assert lines.read() == [b"a long line"]
    lines.close()


def test_a_folder_in_its_place_is_refused_and_the_lock_released(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.mkdir()
    with pytest.raises(StorageError, match="cannot be opened"):
        AppendOnlyLines(path)
    path.rmdir()
    AppendOnlyLines(path).close()
