"""One log line as a value, and how to read fields that may be missing or of another type."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

Fields = Mapping[str, object]


def text(fields: Fields, key: str) -> str:
    """Return a field as text, "" when it is missing."""
    value = fields.get(key, "")
    return value if isinstance(value, str) else json.dumps(value, default=str)


def number(fields: Fields, key: str) -> float | None:
    """Return a numeric field, None when it is missing or no number."""
    value = fields.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(fields: Fields, key: str) -> int | None:
    """Return an integer field, None when it is missing or no integer."""
    value = fields.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def names(fields: Fields, key: str) -> tuple[str, ...]:
    """Return a field that lists names (or maps names to something), sorted."""
    value = fields.get(key, ())
    return tuple(sorted(str(name) for name in value)) if isinstance(value, list | tuple | dict) else ()


@dataclass(frozen=True, slots=True)
class LogLine:
    """Hold one line of a party's own log.

    Attributes:
        at: Unix seconds.
        level: "info", "warning", "error" or "critical".
        event: what happened, one word.
        fields: everything else: names, counts, reasons; never data or secrets.
    """

    at: float
    level: str
    event: str
    fields: Fields = field(default_factory=dict)

    def text(self, key: str) -> str:
        """Return a field as text, "" when it is missing."""
        return text(self.fields, key)

    def number(self, key: str) -> float | None:
        """Return a numeric field, None when it is missing or no number."""
        return number(self.fields, key)

    def whole(self, key: str) -> int | None:
        """Return an integer field, None when it is missing or no integer."""
        return whole(self.fields, key)

    def names(self, key: str) -> tuple[str, ...]:
        """Return a field that lists names, sorted."""
        return names(self.fields, key)
