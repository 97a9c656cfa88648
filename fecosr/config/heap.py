"""Keep a process that moves large buffers between threads from hoarding the memory it has freed."""

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8


def share_one_heap() -> None:
    """Let all threads allocate from one heap; to be called before there are any.

    glibc gives threads heaps of their own, and what one of them frees the others cannot use: the chunks of
    twenty uploads then linger in as many heaps as there are threads. Without glibc nothing happens.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
