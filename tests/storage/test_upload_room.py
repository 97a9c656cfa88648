"""Rooms for uploads: a disk that refuses, and memory that is counted."""

from pathlib import Path

import pytest

from fecosr.errors import StorageError
from fecosr.storage.upload_room import FileRoom, Memory


def test_a_file_takes_what_a_write_left_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = FileRoom(tmp_path / "room")
    file = room._file
    file.close()

    class Reluctant:
        closed = False
        written = b""

        def write(self, chunk: memoryview) -> int:
            if len(self.written) == 6:
                raise OSError(28, "No space left on device")
            self.written += bytes(chunk[:3])
            return len(chunk[:3])

        def close(self) -> None:
            self.closed = True

    reluctant = Reluctant()
    monkeypatch.setattr(room, "_file", reluctant)
    room.write(b"abcdef")
    assert reluctant.written == b"abcdef"
    with pytest.raises(StorageError, match="No space left"):
        room.write(b"ghi")
    room.close()
    assert reluctant.closed
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="missing"):
        FileRoom(tmp_path / "missing" / "room")


def test_memory_is_lent_once_and_taken_back() -> None:
    memory = Memory(16)
    room = memory.room(12)
    assert room is not None
    assert memory.room(5) is None
    assert memory.room(4) is not None
    room.write(b"abc")
    assert room.octets().tobytes() == b"abc"
    for _ in range(2):
        room.close()
    assert memory.room(12) is not None
    assert memory.room(12) is None
