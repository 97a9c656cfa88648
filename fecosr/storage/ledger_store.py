"""The ledger on disk: `ledger.jsonl`, one canonical entry a line."""

from pathlib import Path
from types import TracebackType
from typing import Self

from fecosr.errors import LedgerError, StorageError
from fecosr.ids import RunId
from fecosr.ledger.log import Entry, Head, decode_entry, encode_entry, extend, genesis, opened_run
from fecosr.storage.append_only import AppendOnlyLines


class LedgerStore:
    """Own the coordinator's ledger of one run; verify all of it when opened.

    Args:
        path: the file; made when it is not there.
        run: the run it must be of.
        coordinator_public: the identity that signed every entry.

    Raises:
        StorageError: in use by another process, damaged (the message names file and line), or of another run.
    """

    def __init__(self, path: Path, run: RunId, coordinator_public: bytes) -> None:
        self._coordinator_public = coordinator_public
        self._head = genesis(run)
        self._entries: list[Entry] = []
        self._lines = AppendOnlyLines(path)
        try:
            for line in self._lines.read():
                self._load(line)
        except LedgerError as error:
            self._lines.close()
            raise StorageError(f"{path}:{len(self._entries) + 1}: {error.rule}: {error.message}") from None

    @property
    def head(self) -> Head:
        """Return the head after the last stored entry."""
        return self._head

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Return all stored entries, for a coordinator that starts again."""
        return tuple(self._entries)

    def append(self, entry: Entry) -> None:
        """Store `entry`, which must follow the last one; it is on the disk when this returns.

        Raises:
            LedgerError: it does not follow, or the coordinator did not sign it; nothing was stored.
            StorageError: the disk refused; the store must be opened again.
        """
        head = extend(self._head, entry, self._coordinator_public)
        self._lines.append(encode_entry(entry))
        self._entries.append(entry)
        self._head = head

    def close(self) -> None:
        """Give the file back."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self, line: bytes) -> None:
        entry = decode_entry(line, self._head.size)
        if not self._entries and opened_run(entry) != self._head.run:
            raise LedgerError(
                0, "run_opened", f"is the ledger of run {opened_run(entry)}, not {self._head.run}"
            )
        self._head = extend(self._head, entry, self._coordinator_public)
        self._entries.append(entry)
