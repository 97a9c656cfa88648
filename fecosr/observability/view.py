"""What is known of a run, as one value that the coordinator's entries and lines are folded into."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from fecosr.ledger.records import PrivacyTerms, RecordedEvent
from fecosr.observability.histogram import Histogram
from fecosr.observability.lines import LogLine
from fecosr.observability.markets import MarketView

State = Literal["starting", "gathering", "round", "finishing", "completed", "aborted"]
STATES: Final[tuple[State, ...]] = ("starting", "gathering", "round", "finishing", "completed", "aborted")

MOST_ROUNDS: Final = 500
MOST_LINES: Final = 200
"""How many of the last ones are kept; counters count all of them."""


@dataclass(frozen=True, slots=True)
class RoundView:
    """Hold what is known of one released round.

    Attributes:
        round: its number, from 1; `attempt` likewise.
        survivors: whose updates are in the sum.
        at: when it was released, in Unix seconds; None when that was before this process started.
        seconds: how long the attempt took; None as above.
        loss: the survivors' weighted mean training loss, where it is opened.
        validation: their mean validation NDCG@10 of the model the round started from, where the plan says so.
    """

    round: int
    attempt: int
    survivors: tuple[str, ...]
    at: float | None = None
    seconds: float | None = None
    loss: float | None = None
    validation: float | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """Know a run as its coordinator tells it.

    Attributes:
        run: its name; empty before it is opened.
        version: of the coordinator's FeCoSR.
        planned: rounds of the plan, at most.
        num_parameters: length of the shared parameter vector.
        privacy: what is promised to users; None before the run is opened.
        event: what one sum costs each user of its markets; None before the first, or without privacy.
        state: where the run stands.
        round: the one under way or next; `attempt` likewise, 0 before the first at this round.
        phase: of the open attempt; empty outside of one.
        phase_since: when it began, in Unix seconds; None outside of one.
        waiting_for: the markets a next attempt waits for.
        markets: by name.
        rounds: the last ones released.
        released: how many were.
        aborts: attempts aborted, by reason.
        last_abort: reason of the last one, or of giving up; empty before.
        restarts: how often the coordinator came back.
        records: entries of the ledger.
        last_entry: its hash, as a leaf of the tree, hexadecimal.
        phase_seconds: how long phases took, by phase; round_seconds: released attempts.
        lines: the last log lines.
        levels: log lines by level.
    """

    run: str = ""
    version: str = ""
    planned: int = 0
    num_parameters: int = 0
    privacy: PrivacyTerms | None = None
    event: RecordedEvent | None = None
    state: State = "starting"
    round: int = 1
    attempt: int = 0
    phase: str = ""
    phase_since: float | None = None
    waiting_for: tuple[str, ...] = ()
    markets: Mapping[str, MarketView] = field(default_factory=dict)
    rounds: tuple[RoundView, ...] = ()
    released: int = 0
    aborts: Mapping[str, int] = field(default_factory=dict)
    last_abort: str = ""
    restarts: int = 0
    records: int = 0
    last_entry: str = ""
    phase_seconds: Mapping[str, Histogram] = field(default_factory=dict)
    round_seconds: Histogram = field(default_factory=Histogram)
    lines: tuple[LogLine, ...] = ()
    levels: Mapping[str, int] = field(default_factory=dict)

    def of_market(self, name: str, change: Callable[[MarketView], MarketView]) -> "RunView":
        """Return the view after `change` to one market; a name that is not in the run changes nothing."""
        known = self.markets.get(name)
        return self if known is None else replace(self, markets={**self.markets, name: change(known)})

    def of_all_markets(self, change: Callable[[str, MarketView], MarketView]) -> "RunView":
        """Return the view after `change` to every market."""
        return replace(self, markets={name: change(name, known) for name, known in self.markets.items()})

    def in_phase(self, phase: str, now: float | None) -> "RunView":
        """Return the view after the phase under way ended and `phase` began; an empty one ends the attempt.

        Args:
            phase: that begins.
            now: Unix seconds; None when that is long ago.
        """
        spent = self.phase_seconds
        if self.phase and self.phase_since is not None and now is not None:
            spent = {**spent, self.phase: spent.get(self.phase, Histogram()).plus(now - self.phase_since)}
        return replace(self, phase=phase, phase_since=now if phase else None, phase_seconds=spent)

    def with_round(self, released: RoundView) -> "RunView":
        """Return the view with one more round, or with more known of the one that was released last."""
        others = self.rounds[:-1] if self.rounds and self.rounds[-1].round == released.round else self.rounds
        return replace(self, rounds=tuple(deque((*others, released), MOST_ROUNDS)))

    def with_line(self, line: LogLine) -> "RunView":
        """Return the view with one more line in its event log."""
        levels = {**self.levels, line.level: self.levels.get(line.level, 0) + 1}
        return replace(self, lines=(*self.lines[1 - MOST_LINES :], line), levels=levels)
