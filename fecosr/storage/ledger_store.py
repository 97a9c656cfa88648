"""The ledger as it is kept: `ledger.jsonl`, one canonical entry a line."""

from types import TracebackType
from typing import Self

from fecosr.errors import LedgerError, StorageError
from fecosr.ids import RunId
from fecosr.ledger.log import Entry, Log, decode_entry, encode_entry, extend, genesis, opened_run, verify_log
from fecosr.storage.archive import Lines


class LedgerStore:
    """Own the coordinator's ledger of one run; verify all of it when opened.

    Args:
        lines: where it stands; closed with the store.
        run: the run it must be of.
        coordinator_public: the identity that signed every entry.

    Raises:
        StorageError: damaged (the message names place and line), or of another run.
    """

    def __init__(self, lines: Lines, run: RunId, coordinator_public: bytes) -> None:
        self._coordinator_public = coordinator_public
        self._lines = lines
        try:
            stored = lines.read()
            self._entries = [decode_entry(line, number) for number, line in enumerate(stored)]
            self._log = self._verified(run, stored)
        except LedgerError as error:
            lines.close()
            raise StorageError(f"{lines.place}:{error.record + 1}: {error.rule}: {error.message}") from None

    @property
    def log(self) -> Log:
        """Return the log of all stored entries."""
        return self._log

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Return all stored entries, for a coordinator that starts again."""
        return tuple(self._entries)

    def append(self, entry: Entry) -> None:
        """Store `entry`, which must follow the last one; it lasts when this returns.

        Raises:
            LedgerError: it does not follow, or the coordinator did not sign it; nothing was stored.
            StorageError: it could not be stored; the store must be opened again.
        """
        log = extend(self._log, entry, self._coordinator_public)
        self._lines.append(encode_entry(entry))
        self._entries.append(entry)
        self._log = log

    def close(self) -> None:
        """Give the lines back."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _verified(self, run: RunId, lines: list[bytes]) -> Log:
        if not self._entries:
            return genesis(run)
        found = opened_run(self._entries[0])
        if found != run:
            raise LedgerError(0, "run_opened", f"is the ledger of run {found}, not {run}")
        return verify_log(self._entries, self._coordinator_public, lines)
