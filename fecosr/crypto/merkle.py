"""Merkle trees over records: one hash for all of them, short proofs for each and for every growth.

    leaf(record)      = SHA-256(0x00 || record)
    node(left, right) = SHA-256(0x01 || left || right)

A tree of n > 1 leaves is split at the largest power of two below n, so that a tree which only grows keeps its
left part. An inclusion proof shows that a record is in a tree; a consistency proof shows that a tree is an
earlier one with records added after its last.

Reference: RFC 6962, section 2.1; verification after RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from fecosr.errors import CryptoError, MisuseError

EMPTY_ROOT: Final = sha256(b"").digest()
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def leaf_hash(record: bytes) -> bytes:
    """Return the hash of a record as a leaf, 32 bytes; no inner node has the same."""
    return sha256(_LEAF + record).digest()


class MerkleTree:
    """Grow a tree leaf by leaf and prove things about it.

    All complete subtrees are kept, two hashes per record; so adding a record costs a constant number of
    hashes on average, and a root or a proof, of this tree or of any earlier size of it, a logarithmic number.
    """

    def __init__(self, leaves: Sequence[bytes] = ()) -> None:
        # The complete subtrees of 2^level leaves, from the left.
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return len(self._levels[0])

    def first(self, size: int) -> "MerkleTree":
        """Return a tree of its own with the first `size` leaves.

        Raises:
            MisuseError: there are not so many leaves.
        """
        return MerkleTree(self._levels[0][: self._checked_size(size)])

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next record, see `leaf_hash`."""
        level, node = 0, leaf
        self._levels[0].append(node)
        while len(self._levels[level]) % 2 == 0:
            left, right = self._levels[level][-2:]
            node = _node_hash(left, right)
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node)

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the first `size` leaves, or of all.

        Raises:
            MisuseError: there are not so many leaves.
        """
        return self._subtree(0, self._checked_size(size))

    def inclusion_proof(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Return the hashes with which leaf `index` becomes the root of the first `size` leaves.

        Raises:
            MisuseError: the tree of that size has no such leaf.
        """
        size = self._checked_size(size)
        if not 0 <= index < size:
            raise MisuseError(f"a tree of {size} leaves has no leaf {index}")
        start, stop, path = 0, size, list[bytes]()
        while stop - start > 1:
            middle = start + _left_size(stop - start)
            if index < middle:
                path.append(self._subtree(middle, stop))
                stop = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency_proof(self, earlier: int, size: int | None = None) -> tuple[bytes, ...]:
        """Return the hashes which show that the first `size` leaves start with the first `earlier` ones.

        Raises:
            MisuseError: `earlier` is not in 1 .. size.
        """
        size = self._checked_size(size)
        if not 1 <= earlier <= size:
            raise MisuseError(f"a consistency proof is from 1 .. {size} leaves, not from {earlier}")
        start, stop, path, is_whole = 0, size, list[bytes](), True
        while earlier < stop:
            middle = start + _left_size(stop - start)
            if earlier <= middle:
                path.append(self._subtree(middle, stop))
                stop = middle
            else:
                path.append(self._subtree(start, middle))
                start, is_whole = middle, False
        if not is_whole:
            path.append(self._subtree(start, stop))
        return tuple(reversed(path))

    def _checked_size(self, size: int | None) -> int:
        size = self.size if size is None else size
        if not 0 <= size <= self.size:
            raise MisuseError(f"the tree has {self.size} leaves, not {size}")
        return size

    def _subtree(self, start: int, stop: int) -> bytes:
        """Return the hash over the leaves from `start` to before `stop`, a subtree or a right edge."""
        if start == stop:
            return EMPTY_ROOT
        width = stop - start
        level = width.bit_length() - 1
        if width == 1 << level and start % width == 0:
            return self._levels[level][start >> level]
        middle = start + _left_size(width)
        return _node_hash(self._subtree(start, middle), self._subtree(middle, stop))


@dataclass(frozen=True, slots=True)
class TreeHead:
    """State a tree by its size and root."""

    size: int
    root: bytes


def verify_inclusion(leaf: bytes, index: int, proof: Sequence[bytes], head: TreeHead) -> None:
    """Check that the leaf hash `leaf` stands at `index` in the tree of `head`.

    Raises:
        CryptoError: it does not.
    """
    if root_through(leaf, index, proof, head.size) != head.root:
        raise CryptoError("inclusion: the record is not in the tree with this root")


def root_through(leaf: bytes, index: int, proof: Sequence[bytes], size: int) -> bytes:
    """Return the root of the one tree of `size` leaves in which `proof` leads up from `leaf` at `index`.

    Raises:
        CryptoError: in no tree of that size does it.
    """
    if not 0 <= index < size:
        raise CryptoError(f"inclusion: a tree of {size} records has no such record")
    node, position, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            raise CryptoError("inclusion: the proof is too long")
        if position % 2 or position == last:
            node = _node_hash(sibling, node)
            position, last = _skip_missing_siblings(position, last)
        else:
            node = _node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise CryptoError("inclusion: the proof is too short")
    return node


def verify_consistency(earlier: TreeHead, proof: Sequence[bytes], later: TreeHead) -> None:
    """Check that the tree of `later` is the tree of `earlier` with records added after its last.

    Raises:
        CryptoError: it is not, or the proof does not show it. Every tree is consistent
            with the empty one and with itself, by an empty proof.
    """
    if not 0 <= earlier.size <= later.size:
        raise CryptoError(f"consistency: the tree shrank from {earlier.size} to {later.size}")
    if earlier.size in (0, later.size):
        _verify_trivially(earlier, proof, later)
        return
    is_whole = earlier.size & (earlier.size - 1) == 0
    path = [earlier.root, *proof] if is_whole else list(proof)
    if not path:
        raise CryptoError("consistency: the proof is too short")
    position, last = earlier.size - 1, later.size - 1
    while position % 2:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise CryptoError("consistency: the proof is too long")
        if position % 2 or position == last:
            old, new = _node_hash(sibling, old), _node_hash(sibling, new)
            position, last = _skip_missing_siblings(position, last)
        else:
            new = _node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise CryptoError("consistency: the proof is too short")
    if old != earlier.root or new != later.root:
        raise CryptoError("consistency: the later tree does not start with the earlier one")


def _verify_trivially(earlier: TreeHead, proof: Sequence[bytes], later: TreeHead) -> None:
    expected = EMPTY_ROOT if earlier.size == 0 else later.root
    if proof:
        raise CryptoError("consistency: the proof is too long")
    if earlier.root != expected:
        raise CryptoError(f"consistency: a second history of {earlier.size} records")


def _skip_missing_siblings(position: int, last: int) -> tuple[int, int]:
    """Climb, from the last node of its level, over the levels at which that node has no sibling."""
    while position % 2 == 0 and position:
        position, last = position >> 1, last >> 1
    return position, last


def _left_size(size: int) -> int:
    """Return the largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def _node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()
