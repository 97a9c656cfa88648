"""What happened, as values: a process started, logged an event, ended; the harness struck."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from fecosr.observability import lines


@dataclass(frozen=True, slots=True)
class Started:
    """A process was started, for the `times`-th time."""

    name: str
    times: int


@dataclass(frozen=True, slots=True)
class Logged:
    """A process wrote one event on its standard error.

    Attributes:
        name: the process.
        event: which event, "" for a line that is none.
        fields: everything else on the line.
    """

    name: str
    event: str
    fields: Mapping[str, object] = field(default_factory=dict)

    def text(self, key: str) -> str:
        """Return a field as text, "" when it is missing."""
        return lines.text(self.fields, key)

    def number(self, key: str) -> float | None:
        """Return a numeric field, None when it is missing or no number."""
        return lines.number(self.fields, key)

    def whole(self, key: str) -> int | None:
        """Return an integer field, None when it is missing or no integer."""
        return lines.whole(self.fields, key)

    def names(self, key: str) -> tuple[str, ...]:
        """Return a field that lists names (or maps names to something), sorted."""
        return lines.names(self.fields, key)


@dataclass(frozen=True, slots=True)
class Exited:
    """A process ended; a negative code is the signal that ended it."""

    name: str
    returncode: int


@dataclass(frozen=True, slots=True)
class Struck:
    """The harness did what a fault says.

    Attributes:
        name: to which process; "coordinator" for what concerns nobody else.
        fault: place of the fault in the scenario.
        what: in words.
        ends: whether the process was, or may be, ended by it.
    """

    name: str
    fault: int
    what: str
    ends: bool = False


Happening = Started | Logged | Exited | Struck


def parse_line(name: str, line: bytes) -> Logged | None:
    """Return the event on one line of a process's standard error, None for an empty line.

    A line that is no event (a traceback, a warning of some library) becomes an event without a name, so that
    nothing a process said is lost.
    """
    text = line.decode("utf-8", errors="replace").strip()
    if not text:
        return None
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return Logged(name, "", {"text": text})
    return Logged(name, str(fields.pop("event", "")), fields)
