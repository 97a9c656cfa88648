import subprocess
import sys
from pathlib import Path

import pytest

from fecosr.errors import StorageError
from fecosr.storage.lock import OwnerLock

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
input()
"""


def test_a_lock_of_another_process_is_respected_and_dies_with_it(tmp_path: Path) -> None:
    path = tmp_path / "state.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="in use by another process"):
            OwnerLock(path)
        other.kill()
    OwnerLock(path).release()


def test_releasing_twice_does_no_harm(tmp_path: Path) -> None:
    lock = OwnerLock(tmp_path / "state.lock")
    lock.release()
    following = OwnerLock(tmp_path / "state.lock")
    lock.release()
    with pytest.raises(StorageError):
        OwnerLock(tmp_path / "state.lock")
    following.release()


def test_a_place_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        OwnerLock(tmp_path)
