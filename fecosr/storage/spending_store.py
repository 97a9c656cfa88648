"""What a market spent of its privacy budget: `privacy.jsonl`, one canonical record a line.

It is the market's own account, which no coordinator can change. It says in which attempts the market took
part and what each cost, and nothing about its users, so this very file is what an auditor reads.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

from fecosr.errors import LedgerError, MisuseError, StorageError
from fecosr.ledger.canonical import canonical_json, parse_canonical
from fecosr.privacy.budget import BudgetRecord, Charged, Spending, TakenBack, replay
from fecosr.privacy.events import Charge, Purpose, event_from_fields, event_to_fields
from fecosr.storage.append_only import AppendOnlyLines

SPENDING_FILE: Final = "privacy.jsonl"


class SpendingStore:
    """Own the account of one market.

    Args:
        path: the file; made when it is not there.

    Raises:
        StorageError: in use by another process, or damaged; the message names file and line.
    """

    def __init__(self, path: Path) -> None:
        self._lines = AppendOnlyLines(path)
        try:
            self._spending = read_spending(path, self._lines.read())
        except StorageError:
            self._lines.close()
            raise

    @property
    def spending(self) -> Spending:
        """Return what was spent so far."""
        return self._spending

    def append(self, record: BudgetRecord) -> None:
        """Store one record; it is on the disk when this returns.

        Raises:
            MisuseError: it contradicts what is stored.
            StorageError: the disk refused.
        """
        spending = self._spending.after(record)
        self._lines.append(encode_record(record))
        self._spending = spending

    def close(self) -> None:
        """Give the file back."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_spending(path: Path, lines: list[bytes]) -> Spending:
    """Return the spending that the lines of the file at `path` tell.

    Raises:
        StorageError: a line is no record, or contradicts those before it.
    """
    number = 0

    def records() -> Iterator[BudgetRecord]:
        nonlocal number
        for line in lines:
            number += 1
            yield decode_record(line)

    try:
        return replay(records())
    except (LedgerError, MisuseError) as error:
        raise StorageError(f"{path}:{number}: {error}") from None


def encode_record(record: BudgetRecord) -> bytes:
    """Return `record` as one canonical line, without the newline."""
    match record:
        case Charged(charge):
            event = event_to_fields(charge.event)
            return canonical_json(
                {"kind": "charged", "name": charge.name, "purpose": charge.purpose, "event": event}
            )
        case TakenBack(name):
            return canonical_json({"kind": "taken_back", "name": name})


def decode_record(line: bytes) -> BudgetRecord:
    """Return the record that stands in `line`, which may come from anybody.

    Raises:
        LedgerError: the line is not canonical.
        MisuseError: it is no record, or an event of a kind there is not.
    """
    match parse_canonical(line, 0):
        case {"kind": "charged", "name": str(name), "purpose": str(purpose), "event": dict(event), **rest}:
            # A charge refuses a purpose that is none of those there are.
            record: BudgetRecord = Charged(Charge(name, cast("Purpose", purpose), event_from_fields(event)))
        case {"kind": "taken_back", "name": str(name), **rest}:
            record = TakenBack(name)
        case _:
            raise MisuseError("no record of a privacy budget")
    if rest:
        raise MisuseError("a record of a privacy budget with a key too many")
    return record
