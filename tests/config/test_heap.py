"""One heap for all threads, or none the worse."""

import ctypes
import subprocess
import sys

import pytest

from fecosr.config.heap import share_one_heap

ARENAS = """
import ctypes, sys, threading
from fecosr.config.heap import share_one_heap
if sys.argv[1] == "one":
    share_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
addresses = []
def allocate():
    addresses.append(libc.malloc(1000))
allocate()
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
# Threads with a heap of their own are given memory gigabytes away from the main one's.
print(max(addresses) - min(addresses) > 1 << 32)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_threads_share_one_heap_when_told_to() -> None:
    far = {
        how: subprocess.run(
            [sys.executable, "-c", ARENAS, how], capture_output=True, text=True, check=True
        ).stdout.strip()
        for how in ("one", "many")
    }
    assert far == {"one": "False", "many": "True"}


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    share_one_heap()
