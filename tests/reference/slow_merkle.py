"""RFC 6962, section 2.1, word by word: recursive definitions on lists of records."""

from collections.abc import Sequence
from hashlib import sha256


def tree_hash(records: Sequence[bytes]) -> bytes:
    if not records:
        return sha256().digest()
    if len(records) == 1:
        return sha256(b"\x00" + records[0]).digest()
    k = split(len(records))
    return sha256(b"\x01" + tree_hash(records[:k]) + tree_hash(records[k:])).digest()


def path(index: int, records: Sequence[bytes]) -> list[bytes]:
    if len(records) == 1:
        return []
    k = split(len(records))
    if index < k:
        return [*path(index, records[:k]), tree_hash(records[k:])]
    return [*path(index - k, records[k:]), tree_hash(records[:k])]


def proof(earlier: int, records: Sequence[bytes]) -> list[bytes]:
    return _subproof(earlier, records, whole=True)


def _subproof(earlier: int, records: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if earlier == len(records):
        return [] if whole else [tree_hash(records)]
    k = split(len(records))
    if earlier <= k:
        return [*_subproof(earlier, records[:k], whole=whole), tree_hash(records[k:])]
    return [*_subproof(earlier - k, records[k:], whole=False), tree_hash(records[:k])]


def grown(earlier: int, size: int, old: bytes, hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the roots of both trees that a consistency proof leads to, given the root of the earlier one."""
    rest = list(hashes)
    roots = _grown(earlier, size, old, rest, whole=True)
    return (b"", b"") if rest else roots


def _grown(earlier: int, size: int, old: bytes, rest: list[bytes], *, whole: bool) -> tuple[bytes, bytes]:
    if earlier == size:
        known = old if whole else rest.pop(0)
        return known, known
    k = split(size)
    if earlier <= k:
        before, after = _grown(earlier, k, old, rest, whole=whole)
        return before, sha256(b"\x01" + after + rest.pop(0)).digest()
    before, after = _grown(earlier - k, size - k, old, rest, whole=False)
    left = rest.pop(0)
    return sha256(b"\x01" + left + before).digest(), sha256(b"\x01" + left + after).digest()


def split(size: int) -> int:
    k = 1
    while 2 * k < size:
        k *= 2
    return k
