"""The heads a market keeps: `checkpoints.jsonl`, one a line, signed by the coordinator and by the market.

They are the market's own evidence against a coordinator that cuts its ledger short or writes a second one.
They hold nothing about the market's data, so this very file is what an auditor reads.
"""

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fecosr.errors import LedgerError, StorageError
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import verify_checkpoint
from fecosr.ledger.countersignature import (
    KeptHead,
    decode_kept,
    encode_kept,
    verify_countersignature,
)
from fecosr.storage.append_only import AppendOnlyLines

CHECKPOINTS_FILE: Final = "checkpoints.jsonl"


class CheckpointStore:
    """Own the heads one market keeps of one run.

    Whoever stores a head has checked that it continues the last (`fecosr.ledger.checkpoint.check_growth`);
    the proof itself is not kept, for the next one starts from the head alone.

    Args:
        path: the file; made when it is not there.
        run: the run they must be of.
        coordinator_public: the pinned identity that must have signed them.
        market: whose heads these are.
        identity: that market's pinned identity.

    Raises:
        StorageError: in use by another process, or damaged; the message names file and line.
    """

    def __init__(
        self, path: Path, run: RunId, coordinator_public: bytes, *, market: NodeId, identity: bytes
    ) -> None:
        self._run, self._market = run, market
        self._coordinator_public, self._identity = coordinator_public, identity
        self._latest: KeptHead | None = None
        self._lines = AppendOnlyLines(path)
        lines = self._lines.read()
        try:
            for number, line in enumerate(lines, start=1):
                self._load(line, is_last=number == len(lines))
        except LedgerError as error:
            self._lines.close()
            raise StorageError(f"{path}:{number}: {error.rule}: {error.message}") from None

    @property
    def latest(self) -> KeptHead | None:
        """Return the newest head, or None when none was kept yet."""
        return self._latest

    def keep(self, kept: KeptHead) -> None:
        """Store a head; it is on the disk when this returns. The one that was stored last changes nothing.

        Raises:
            LedgerError: another run, not the coordinator's, not this market's, or no longer than the last.
            StorageError: the disk refused.
        """
        if kept == self._latest:
            return
        self._check_order(kept)
        self._check_signatures(kept)
        self._lines.append(encode_kept(kept))
        self._latest = kept

    def close(self) -> None:
        """Give the file back."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self, line: bytes, *, is_last: bool) -> None:
        kept = decode_kept(line)
        self._check_order(kept)
        # Nothing is ever proved from an earlier head again, and years of rounds are to be read in seconds.
        if is_last:
            self._check_signatures(kept)
        self._latest = kept

    def _check_order(self, kept: KeptHead) -> None:
        head = kept.checkpoint.head
        if head.run != self._run:
            raise LedgerError(0, "checkpoint", f"of run {head.run}, not of {self._run}")
        if self._latest is not None and head.size <= (size := self._latest.checkpoint.size):
            raise LedgerError(head.size, "fork", f"a head of {head.size} records after one of {size}")

    def _check_signatures(self, kept: KeptHead) -> None:
        verify_checkpoint(kept.checkpoint, self._coordinator_public)
        verify_countersignature(kept.statement_of(self._market), self._identity)
