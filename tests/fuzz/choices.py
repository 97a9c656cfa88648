"""Turn a fuzzer's bytes into choices: the same bytes always mean the same, and any bytes mean something."""

from collections.abc import Sequence
from typing import TypeVar

Option = TypeVar("Option")


class Choices:
    """Read choices off `data`; once it is used up, every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._next = 0

    @property
    def left(self) -> bool:
        """Return whether there is anything left to choose by."""
        return self._next < len(self._data)

    def below(self, bound: int) -> int:
        """Return a number from 0 to `bound` - 1."""
        size_bytes = 1 if bound <= 256 else 2
        return int.from_bytes(self.take(size_bytes), "big") % bound

    def one_of(self, options: Sequence[Option]) -> Option:
        """Return one of the options."""
        return options[self.below(len(options))]

    def take(self, size_bytes: int) -> bytes:
        """Return the next bytes, fewer where there are no more."""
        taken = self._data[self._next : self._next + size_bytes]
        self._next += len(taken)
        return taken

    def rest(self) -> bytes:
        """Return all bytes that are left."""
        return self.take(len(self._data))
