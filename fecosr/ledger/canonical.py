"""One JSON text per value: sorted keys, no whitespace, ASCII, no floating point."""

import json
from typing import Final, NoReturn

from fecosr.errors import LedgerError

MAX_INTEGER = 2**63 - 1
"""Larger numbers do not survive every JSON reader, so no record holds one."""


def canonical_json(value: object) -> bytes:
    """Return the one encoding of `value`, which holds dicts, lists, strings, integers and booleans only."""
    return _ENCODER.encode(value).encode("ascii")


def parse_canonical(line: bytes, record: int) -> dict[str, object]:
    """Return the JSON object that stands in `line`.

    Args:
        line: one record without its newline.
        record: its position in the ledger, for the error.

    Raises:
        LedgerError: not JSON, not an object, a duplicate key, a floating-point number, or any byte that the
            canonical encoding of the same value would not have.

    Guarantees:
        `canonical_json(parse_canonical(line, record)) == line`, so two parties that accept the same values
        hashed the same bytes.
    """
    try:
        value = _DECODER.decode(line.decode("ascii"))
        # Writing recurses as well, and not as deep as reading.
        is_canonical = canonical_json(value) == line
    except (ValueError, RecursionError) as error:
        raise LedgerError(record, "canonical", f"not a canonical JSON record: {error}") from None
    if not isinstance(value, dict):
        raise LedgerError(record, "canonical", "a record is one JSON object")
    if not is_canonical:
        raise LedgerError(record, "canonical", "these bytes are not the canonical encoding of their value")
    return value


def _object_without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not an integer")


_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates, parse_float=_refuse_number, parse_constant=_refuse_number
)
"""Made once, because ledgers are long."""
