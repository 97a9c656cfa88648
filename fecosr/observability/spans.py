"""Rounds, attempts and phases as spans of a trace, folded from a party's own log lines.

Every round is a trace. The ids in it follow from what all parties know (run, round, attempt, party), so spans
of coordinator and nodes fit together without anything about traces on the wire. A span holds names and
numbers of rounds; never a loss, a metric or anything else that was measured on data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from fecosr.ids import COORDINATOR
from fecosr.observability.lines import LogLine
from fecosr.observability.position import TRAINING

_ATTEMPT_ENDS: Final[Mapping[str, str]] = {
    "round_released": "released",
    "sketch_released": "released",
    "round_aborted": "aborted",
    "session_ended": "disconnected",
    "connection_lost": "disconnected",
    "refused": "refused",
}
_RELEASED: Final = "released"


@dataclass(frozen=True, slots=True)
class Span:
    """Hold what took some time.

    Attributes:
        name: "round", "attempt", or a phase.
        trace_id: 128 bits; `span_id` 64, unique in the trace.
        parent_id: of the span that this one is a part of; None: a round is a part of nothing.
        began: Unix seconds; `ended` likewise, 0 while it is under way.
        attributes: names and numbers.
        failure: why it came to nothing; empty otherwise.
    """

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    began: float
    ended: float = 0.0
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class OpenSpans:
    """Know what is under way at one party.

    Attributes:
        run: its name.
        party: who writes the lines.
        round: the span of the round; only the coordinator has one.
        attempt: the span of the attempt at it.
        phase: the span of the phase in it.
    """

    run: str
    party: str
    round: Span | None = None
    attempt: Span | None = None
    phase: Span | None = None

    def after(self, line: LogLine) -> tuple["OpenSpans", tuple[Span, ...]]:
        """Return what is under way after one more line, and the spans that it ended, the inner ones first."""
        match line.event:
            case "round_opened":
                return self._in_attempt(line, "")
            case "phase_started":
                return self._in_attempt(line, line.text("phase"))
            case "training_started" | "sketch_started":
                return self._in_attempt(line, TRAINING)
            case "training_finished":
                return replace(self, phase=None), _ended(line.at, self.phase)
            case "round_closed":
                return self._out_of_attempt(line, line.text("outcome"))
            case "coordinator_stopped" | "node_stopped":
                return OpenSpans(self.run, self.party), self._all_ended(line.at, "stopped")
            case event if event in _ATTEMPT_ENDS:
                return self._out_of_attempt(line, _ATTEMPT_ENDS[event])
            case _:
                return self, ()

    def _in_attempt(self, line: LogLine, phase: str) -> tuple["OpenSpans", tuple[Span, ...]]:
        place = {"fecosr.round": line.whole("round") or 0, "fecosr.attempt": line.whole("attempt") or 0}
        if self.attempt is not None and place.items() <= self.attempt.attributes.items():
            after, ended = self, _ended(line.at, self.phase)
        else:
            after, ended = self._new_attempt(line.at, place)
        begun = after._begun(phase, line.at, after.attempt, place) if phase else None  # noqa: SLF001 - one of us
        return replace(after, phase=begun), ended

    def _new_attempt(self, now: float, place: Mapping[str, int]) -> tuple["OpenSpans", tuple[Span, ...]]:
        ended = _ended(now, self.phase) + _ended(now, self.attempt, "superseded")
        number = place["fecosr.round"]
        whole = self.round
        if self.party == COORDINATOR and (whole is None or whole.attributes["fecosr.round"] != number):
            ended += _ended(now, whole, "superseded")
            trace, own = _trace_id(self.run, number), _span_id(self.run, number)
            whole = Span(
                "round", trace, own, None, now, attributes=self._attributes({"fecosr.round": number})
            )
        own = _span_id(self.run, number, place["fecosr.attempt"], self.party)
        # A node's attempt is a part of the coordinator's, whose id it knows without being told.
        parent = _span_id(self.run, number, place["fecosr.attempt"], COORDINATOR)
        if self.party == COORDINATOR:
            parent = _span_id(self.run, number)
        attributes = self._attributes(place)
        attempt = Span("attempt", _trace_id(self.run, number), own, parent, now, attributes=attributes)
        return OpenSpans(self.run, self.party, whole, attempt), ended

    def _begun(self, name: str, now: float, parent: Span | None, place: Mapping[str, int]) -> Span:
        number = place["fecosr.round"]
        above = None if parent is None else parent.span_id
        own = _span_id(self.run, number, place["fecosr.attempt"], self.party, name)
        attributes = self._attributes(place)
        return Span(name, _trace_id(self.run, number), own, above, now, attributes=attributes)

    def _out_of_attempt(self, line: LogLine, outcome: str) -> tuple["OpenSpans", tuple[Span, ...]]:
        if self.attempt is None:
            return self, ()
        failure = "" if outcome == _RELEASED else outcome
        ended = _ended(line.at, self.phase, failure) + _ended(line.at, self.attempt, failure)
        if failure:
            return replace(self, attempt=None, phase=None), ended
        return OpenSpans(self.run, self.party), ended + _ended(line.at, self.round)

    def _all_ended(self, now: float, failure: str) -> tuple[Span, ...]:
        inner = _ended(now, self.phase, failure) + _ended(now, self.attempt, failure)
        return inner + _ended(now, self.round, failure)

    def _attributes(self, place: Mapping[str, int]) -> Mapping[str, str | int]:
        return {"fecosr.run": self.run, "fecosr.party": self.party, **place}


def _ended(now: float, span: Span | None, failure: str = "") -> tuple[Span, ...]:
    return () if span is None else (replace(span, ended=now, failure=failure),)


def _trace_id(run: str, round_number: int) -> int:
    return _number_of(16, "trace", run, round_number)


def _span_id(run: str, round_number: int, *more: str | int) -> int:
    return _number_of(8, "span", run, round_number, *more)


def _number_of(size_bytes: int, *words: str | int) -> int:
    """Return a number that follows from `words`; 0 would mean that there is none."""
    text = "\0".join(["fecosr", *map(str, words)])
    return int.from_bytes(sha256(text.encode()).digest()[:size_bytes], "big") or 1
