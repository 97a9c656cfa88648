"""Read a ledger line by line, as far as it is canonical, in order and signed."""

from dataclasses import dataclass

from fecosr.audit.findings import Finding, missing
from fecosr.errors import LedgerError
from fecosr.ledger.log import Entry, Log, decode_entry, verify_log


@dataclass(frozen=True, slots=True)
class ReadLedger:
    """Hold the part of a ledger that verifies.

    Attributes:
        entries: the records up to the first that does not verify.
        log: the tree over them; None when not even the first verifies.
        is_whole: whether that is all of the file.
        findings: why it is not.
    """

    entries: tuple[Entry, ...]
    log: Log | None
    is_whole: bool
    findings: tuple[Finding, ...]


def read_ledger(data: bytes, coordinator_public: bytes) -> ReadLedger:
    """Return the verified part of the ledger whose bytes these are.

    The records after the first bad one are not judged: nothing ties them to the ones before any more.
    """
    if not data:
        return ReadLedger((), None, False, (missing("ledger", "The ledger is empty."),))
    *lines, rest = data.split(b"\n")
    entries, failure = _decoded(lines)
    log, entries, unsigned = _verified(entries, lines, coordinator_public)
    failure = unsigned or failure
    if failure is not None:
        return ReadLedger(entries, log, False, (_finding(failure, len(lines) + bool(rest)),))
    if rest:
        torn = Finding(len(lines), "canonical", f"Record {len(lines)}: the last line is not complete.")
        return ReadLedger(entries, log, False, (torn,))
    return ReadLedger(entries, log, True, ())


def _decoded(lines: list[bytes]) -> tuple[tuple[Entry, ...], LedgerError | None]:
    """Return the records up to the first that cannot be read, and why it cannot."""
    entries: list[Entry] = []
    try:
        for number, line in enumerate(lines):
            entries.append(decode_entry(line, number))
    except LedgerError as error:
        return tuple(entries), error
    return tuple(entries), None


def _verified(
    entries: tuple[Entry, ...], lines: list[bytes], coordinator_public: bytes
) -> tuple[Log | None, tuple[Entry, ...], LedgerError | None]:
    """Return the tree over the records up to the first that does not verify, these, and why it does not."""
    if not entries:
        return None, (), None
    try:
        return verify_log(entries, coordinator_public, lines), entries, None
    except LedgerError as error:
        entries = entries[: error.record]
        return verify_log(entries, coordinator_public) if entries else None, entries, error


def _finding(error: LedgerError, num_lines: int) -> Finding:
    unread = num_lines - error.record - 1
    consequence = f" The {unread} records after it were not checked." if unread > 0 else ""
    return Finding(error.record, error.rule, f"Record {error.record}: {error.message}.{consequence}")
