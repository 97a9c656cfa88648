"""Read a ledger line by line, as far as it is canonical, chained and signed."""

from dataclasses import dataclass

from fecosr.audit.findings import Finding, missing
from fecosr.errors import LedgerError
from fecosr.ledger.log import Entry, Head, decode_entry, extend, genesis, opened_run


@dataclass(frozen=True, slots=True)
class Chain:
    """Hold the part of a ledger that verifies.

    Attributes:
        entries: the records up to the first that does not verify.
        heads: the head after 0, 1, ... of them; empty when not even the first verifies.
        is_whole: whether that is all of the file.
        findings: why it is not.
    """

    entries: tuple[Entry, ...]
    heads: tuple[Head, ...]
    is_whole: bool
    findings: tuple[Finding, ...]


def read_chain(data: bytes, coordinator_public: bytes) -> Chain:
    """Return the verified part of the ledger whose bytes these are.

    The records after the first bad one are not judged: nothing ties them to the ones before any more.
    """
    if not data:
        return Chain((), (), False, (missing("ledger", "The ledger is empty."),))
    *lines, rest = data.split(b"\n")
    entries: list[Entry] = []
    heads: list[Head] = []
    try:
        for number, line in enumerate(lines):
            entry = decode_entry(line, number)
            if not heads:
                heads.append(genesis(opened_run(entry)))
            heads.append(extend(heads[-1], entry, coordinator_public))
            entries.append(entry)
    except LedgerError as error:
        return Chain(tuple(entries), tuple(heads), False, (_finding(error, len(lines) + bool(rest)),))
    if rest:
        torn = Finding(len(lines), "canonical", f"Record {len(lines)}: the last line is not complete.")
        return Chain(tuple(entries), tuple(heads), False, (torn,))
    return Chain(tuple(entries), tuple(heads), True, ())


def _finding(error: LedgerError, num_lines: int) -> Finding:
    unread = num_lines - error.record - 1
    consequence = f" The {unread} records after it were not checked." if unread > 0 else ""
    return Finding(error.record, error.rule, f"Record {error.record}: {error.message}.{consequence}")
