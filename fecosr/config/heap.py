"""Keep a process that moves large buffers from hoarding memory, and from asking for it over and over."""

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_REUSED_BYTES: Final = 256 << 20
"""Vectors of up to 64 million parameters are put where earlier ones were."""
_KEPT_BYTES: Final = 1 << 30
"""How much freed memory at the end of the heap is kept for what comes next."""


def share_one_heap() -> None:
    """Let all threads allocate from one heap, and the next round from what the last one has freed.

    To be called before there are any threads. glibc gives threads heaps of their own, and what one of them
    frees the others cannot use: the chunks of twenty uploads then linger in as many heaps as there are
    threads. And it gives whatever is as large as a model back to the system at once: every round then pays
    for having tens of thousands of pages cleared again. Without glibc nothing happens.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, _REUSED_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
