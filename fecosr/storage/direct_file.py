"""Write a large file past the page cache, where the file system can: nobody is about to read it.

A copy in the cache would have to be made, page by page, only to be thrown away.
"""

import errno
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_STAGING_BYTES: Final = 2 << 20
_BLOCK_BYTES: Final = 4096
"""What place and length of every direct write are multiples of, on all common disks."""


def write_directly(path: Path, parts: Iterable[bytes | memoryview]) -> bool:
    """Write all `parts` to a new file at `path`, synced; return False where the file system cannot do that.

    Raises:
        OSError: the disk refused.

    Guarantees: beside the parts it takes a few mebibytes of memory. When it returns False or raises, what
    stands at `path` is of no use.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_DIRECT, 0o666)
        try:
            _write(descriptor, parts)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    return True


def _write(descriptor: int, parts: Iterable[bytes | memoryview]) -> None:
    """Write whole blocks from memory that begins on a page, and cut what fills up the last one off again."""
    size_bytes = filled = 0
    with mmap.mmap(-1, _STAGING_BYTES) as pages, memoryview(pages) as staging:
        for part in parts:
            rest = memoryview(part).cast("B")
            size_bytes += rest.nbytes
            while rest:
                piece = rest[: _STAGING_BYTES - filled]
                staging[filled : filled + len(piece)] = piece
                filled += len(piece)
                rest = rest[len(piece) :]
                if filled == _STAGING_BYTES:
                    _write_out(descriptor, staging)
                    filled = 0
        _write_out(descriptor, staging[: -(-filled // _BLOCK_BYTES) * _BLOCK_BYTES])
    os.ftruncate(descriptor, size_bytes)
    os.fsync(descriptor)


def _write_out(descriptor: int, blocks: memoryview) -> None:
    while blocks:
        blocks = blocks[os.write(descriptor, blocks) :]
