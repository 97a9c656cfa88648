"""One heap for all threads, or none the worse."""

import ctypes
import subprocess
import sys

import pytest

from fecosr.config.heap import reuse_one_heap, share_one_heap

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


FAULTS = """
import ctypes, resource
from fecosr.config.heap import reuse_one_heap
reuse_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def fill():
    address = libc.malloc(64 << 20)
    libc.memset(address, 1, 64 << 20)
    libc.free(address)
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_a_vector_is_put_where_the_last_one_was() -> None:
    faults = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    # A page is cleared for every fault; where pages are large, a returned vector costs some thirty of them.
    assert int(faults.stdout) < 20


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    share_one_heap()
    reuse_one_heap()
