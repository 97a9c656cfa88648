"""What the markets signed of the ledger: `countersignatures.jsonl`, the latest of each, one a line.

Whoever signs a head vouches for all records before it, so earlier countersignatures say nothing more.
"""

from pathlib import Path
from typing import Final

from fecosr.errors import LedgerError, StorageError
from fecosr.ids import NodeId
from fecosr.ledger.countersignature import (
    Countersignature,
    decode_countersignature,
    encode_countersignature,
)
from fecosr.storage.atomic_files import write_bytes

COUNTERSIGNATURES_FILE: Final = "countersignatures.jsonl"


class CountersignatureStore:
    """Own the coordinator's copy of the markets' countersignatures; only the ledger's owner may open it.

    Args:
        path: the file; made with the first countersignature.

    Raises:
        StorageError: damaged; the message names file and line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._latest: dict[NodeId, Countersignature] = {}
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        for number, line in enumerate(lines, start=1):
            try:
                statement = decode_countersignature(line)
            except LedgerError as error:
                raise StorageError(f"{path}:{number}: {error.rule}: {error.message}") from None
            self._latest[statement.market] = statement

    def keep(self, statement: Countersignature) -> None:
        """Store what was verified; it is on the disk when this returns. An older one changes nothing."""
        known = self._latest.get(statement.market)
        if known is not None and known.size >= statement.size:
            return
        self._latest[statement.market] = statement
        lines = (encode_countersignature(self._latest[market]) + b"\n" for market in sorted(self._latest))
        write_bytes(self._path, b"".join(lines))
