"""Keep a process that moves large buffers from hoarding memory, and from asking for it over and over."""

import ctypes
from collections.abc import Mapping
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_VECTOR_BYTES: Final = 256 << 20
_KEPT_BYTES: Final = 1 << 30


def share_one_heap() -> None:
    """Let all threads allocate from one heap; to be called before there are any.

    glibc gives threads heaps of their own, and what one of them frees the others cannot use: the chunks of
    twenty uploads then linger in as many heaps as there are threads. Without glibc nothing happens.
    """
    _tune({_M_ARENA_MAX: 1})


def reuse_one_heap() -> None:
    """Do so, and put the vectors of a round where the last ones were, in a process with few large ones.

    Otherwise glibc gives whatever is as large as a model back to the system at once, and every round pays for
    having tens of thousands of pages cleared again. Where vectors come and go among many chunks they would
    leave holes that no other fits into.
    """
    _tune({_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: _VECTOR_BYTES, _M_TRIM_THRESHOLD: _KEPT_BYTES})


def _tune(parameters: Mapping[int, int]) -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for parameter, value in parameters.items():
            libc.mallopt(parameter, value)
