"""The checkpoints a node keeps: `checkpoints.jsonl`, one canonical statement a line.

They are the node's own evidence against a coordinator that cuts its ledger short or signs a second one. They
hold nothing about the market's data, so this very file is what an auditor reads.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

from fecosr.errors import LedgerError, StorageError
from fecosr.ids import RunId
from fecosr.ledger.checkpoint import (
    Checkpoint,
    check_follows,
    decode_checkpoint,
    encode_checkpoint,
    verify_checkpoint,
)
from fecosr.storage.append_only import AppendOnlyLines


class CheckpointStore:
    """Own the checkpoints one node keeps of one run.

    Args:
        path: the file; made when it is not there.
        run: the run they must be of.
        coordinator_public: the pinned identity that must have signed them.

    Raises:
        StorageError: in use by another process, or damaged; the message names file and line.
    """

    def __init__(self, path: Path, run: RunId, coordinator_public: bytes) -> None:
        self._run = run
        self._coordinator_public = coordinator_public
        self._latest: Checkpoint | None = None
        self._lines = AppendOnlyLines(path)
        for number, line in enumerate(self._lines.read(), start=1):
            try:
                self._check(checkpoint := decode_checkpoint(line))
            except LedgerError as error:
                self._lines.close()
                raise StorageError(f"{path}:{number}: {error.rule}: {error.message}") from None
            self._latest = checkpoint

    @property
    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint, or None when none was kept yet."""
        return self._latest

    def keep(self, checkpoint: Checkpoint) -> None:
        """Store `checkpoint` once it is seen to follow everything kept before.

        Raises:
            LedgerError: not the coordinator's, another run, a ledger that shrank, or a second history.
            StorageError: the disk refused.
        """
        self._check(checkpoint)
        if self._latest is not None and checkpoint.size == self._latest.size:
            return
        self._lines.append(encode_checkpoint(checkpoint))
        self._latest = checkpoint

    def close(self) -> None:
        """Give the file back."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, checkpoint: Checkpoint) -> None:
        if checkpoint.run != self._run:
            raise LedgerError(0, "checkpoint", f"of run {checkpoint.run}, not of {self._run}")
        verify_checkpoint(checkpoint, self._coordinator_public)
        if self._latest is not None:
            check_follows(checkpoint, self._latest)
