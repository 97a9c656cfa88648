"""What the markets signed of the ledger: `countersignatures.jsonl`, the latest of each, one a line.

Whoever signs a head vouches for all records before it, so earlier countersignatures say nothing more.
"""

from typing import Final

from fecosr.errors import LedgerError, StorageError
from fecosr.ids import NodeId
from fecosr.ledger.countersignature import (
    Countersignature,
    decode_countersignature,
    encode_countersignature,
)
from fecosr.storage.archive import Files

COUNTERSIGNATURES_FILE: Final = "countersignatures.jsonl"


class CountersignatureStore:
    """Own the coordinator's copy of the markets' countersignatures; only the ledger's owner may open it.

    Args:
        files: where the file stands; it is made with the first countersignature.

    Raises:
        StorageError: damaged; the message names place and line.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._latest: dict[NodeId, Countersignature] = {}
        stored = files.read(COUNTERSIGNATURES_FILE) if COUNTERSIGNATURES_FILE in files.names() else b""
        for number, line in enumerate(stored.split(b"\n")[:-1], start=1):
            try:
                statement = decode_countersignature(line)
            except LedgerError as error:
                place = files.place(COUNTERSIGNATURES_FILE)
                raise StorageError(f"{place}:{number}: {error.rule}: {error.message}") from None
            self._latest[statement.market] = statement

    def keep(self, statement: Countersignature) -> None:
        """Store what was verified; it lasts when this returns. An older one changes nothing."""
        known = self._latest.get(statement.market)
        if known is not None and known.size >= statement.size:
            return
        self._latest[statement.market] = statement
        lines = (encode_countersignature(self._latest[market]) + b"\n" for market in sorted(self._latest))
        self._files.write(COUNTERSIGNATURES_FILE, b"".join(lines))
