"""What has happened in a run so far, folded from events: live ones, or those of recorded logs."""

import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fecosr.harness.events import Exited, Happening, Logged, Started, Struck
from fecosr.ids import COORDINATOR


@dataclass(frozen=True, slots=True)
class ReleasedRound:
    """Hold what the coordinator said about a round it released."""

    round: int
    attempt: int
    survivors: tuple[str, ...]
    dropouts: tuple[str, ...]
    loss: float | None
    seconds: float | None
    validation: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Hold how one start of a process ended, and what it was last seen doing.

    Attributes:
        name: the process.
        times: how often it had been started.
        returncode: negative when a signal ended it.
        round: the round it last spoke of.
        activity: what it was doing.
        fault: place of the fault with which the harness ended it, None where it did not.
    """

    name: str
    times: int
    returncode: int
    round: int | None
    activity: str
    fault: int | None = None

    @property
    def killed(self) -> bool:
        """Say whether SIGKILL ended it."""
        return self.returncode == -signal.SIGKILL


@dataclass(slots=True)
class PartyState:
    """Follow one process.

    Attributes:
        times: how often it was started.
        activity: what it is doing, in a word or two.
        round: the round it last spoke of.
        fraction: how much of the activity is done, where that is known.
        running: whether it is alive.
        last_error: the last thing it logged as an error, or wrote outside its log.
        fault: place of the fault that may end it, None where there is none.
        said: every event it has logged.
    """

    times: int = 0
    activity: str = "not started"
    round: int | None = None
    fraction: float | None = None
    running: bool = False
    last_error: str = ""
    fault: int | None = None
    said: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Observation:
    """Know everything the processes have said and how they ended."""

    parties: dict[str, PartyState] = field(default_factory=dict)
    released: dict[int, ReleasedRound] = field(default_factory=dict)
    aborted: list[str] = field(default_factory=list)
    abort_reasons: set[str] = field(default_factory=set)
    refusals: dict[str, list[str]] = field(default_factory=dict)
    struck: list[Struck] = field(default_factory=list)
    run_aborted: str | None = None
    endings: list[Ending] = field(default_factory=list)
    port: int | None = None
    sketch: ReleasedRound | None = None
    completed_rounds: int | None = None
    final_round: int | None = None

    @classmethod
    def of(cls, happenings: Iterable[Happening]) -> "Observation":
        """Return what `happenings` amount to."""
        observation = cls()
        for happening in happenings:
            observation.see(happening)
        return observation

    def party(self, name: str) -> PartyState:
        """Return what is known of the process `name`."""
        return self.parties.setdefault(name, PartyState())

    def rounds(self) -> int:
        """Return how many rounds were released."""
        return len(self.released) if self.completed_rounds is None else self.completed_rounds

    def see(self, happening: Happening) -> None:
        """Take one more happening in."""
        party = self.party(happening.name)
        match happening:
            case Started(times=times):
                party.times, party.running, party.fraction, party.fault = times, True, None, None
                party.activity = "starting" if times == 1 else "restarted"
            case Exited(name=name, returncode=returncode):
                ending = Ending(name, party.times, returncode, party.round, party.activity, party.fault)
                self.endings.append(ending)
                party.running, party.fraction = False, None
                if returncode:
                    party.activity = "killed" if ending.killed else f"failed ({returncode})"
            case Struck():
                self.struck.append(happening)
                if happening.ends:
                    party.fault = happening.fault
            case Logged():
                self._see_event(party, happening)

    def _see_event(self, party: PartyState, event: Logged) -> None:
        if event.text("level") in {"error", "critical"} or not event.event:
            party.last_error = event.text("text") or " ".join(
                filter(None, [event.event, event.text("error") or event.text("reason")])
            )
        party.said.add(event.event)
        if event.event == "refused":
            self.refusals.setdefault(event.name, []).append(event.text("rule"))
        if event.name == COORDINATOR:
            self._see_coordinator(event)
        activity = _ACTIVITIES.get(event.event)
        if activity is not None:
            party.activity = activity.format_map(_Fields(event.fields))
            party.fraction = None
        if event.event in _PROGRESS:
            party.fraction = event.number("fraction")
        number = event.whole("round")
        party.round = party.round if number is None else number

    def _see_coordinator(self, event: Logged) -> None:
        match event.event:
            case "coordinator_ready":
                self.port = event.whole("port")
            case "round_released":
                released = _released(event)
                self.released[released.round] = released
            case "run_aborted":
                self.run_aborted = event.text("reason")
            case "sketch_released":
                self.sketch = _released(event)
            case "round_aborted":
                self.abort_reasons.add(event.text("reason"))
                self.aborted.append(
                    f"round {event.text('round')}, attempt {event.text('attempt')}: {event.text('reason')}"
                )
            case "run_completed":
                self.completed_rounds = event.whole("rounds")
                self.final_round = event.whole("final_round")


_PROGRESS = frozenset({"training_progress", "local_progress", "fine_tuning_progress"})
_ACTIVITIES: Mapping[str, str] = {
    "coordinator_ready": "ready",
    "node_ready": "ready",
    "sketch_started": "sketching",
    "sketch_finished": "sketched",
    "training_started": "training",
    "training_finished": "trained",
    "phase_started": "{phase}",
    "round_closed": "waiting",
    "local_progress": "training alone",
    "fine_tuning_started": "fine-tuning",
    "evaluation_started": "evaluating {method}",
    "report_written": "evaluated",
    "coordinator_stopped": "stopped",
}
"""What a process is doing from this event on."""


class _Fields(dict[str, object]):
    """Show a missing field as "?", so that a log line never ends the harness."""

    def __missing__(self, key: str) -> str:
        return "?"


def _released(event: Logged) -> ReleasedRound:
    return ReleasedRound(
        round=event.whole("round") or 0,
        attempt=event.whole("attempt") or 0,
        survivors=event.names("survivors"),
        dropouts=event.names("dropouts"),
        loss=event.number("loss"),
        seconds=event.number("seconds"),
        validation=event.number("validation"),
    )
