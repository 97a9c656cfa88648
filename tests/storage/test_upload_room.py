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


def test_memory_is_lent_once_and_taken_back_with_the_last_view() -> None:
    memory = Memory(16)
    room = memory.room(12)
    assert room is not None
    assert memory.room(5) is None
    room.write(b"abc")
    tail = room.octets()[1:]
    for _ in range(2):
        room.close()
    assert memory.room(12) is None
    assert tail.tobytes() == b"bc"
    del tail
    again = memory.room(12)
    assert again is not None
    assert memory.room(12) is None


def test_memory_that_was_taken_back_is_lent_again() -> None:
    memory = Memory(16)
    addresses = []
    for _ in range(3):
        room = memory.room(16)
        assert room is not None
        addresses.append(room.octets().__array_interface__["data"][0])
        room.close()
        del room
    assert len(set(addresses)) == 1
    other = memory.room(8)
    assert other is not None
    other.write(bytes(8))
    assert other.octets().size == 8


def test_nothing_is_written_to_a_closed_room() -> None:
    room = Memory(4).room(4)
    assert room is not None
    room.close()
    with pytest.raises(StorageError, match="closed"):
        room.write(b"a")
    with pytest.raises(StorageError, match="closed"):
        room.octets()
