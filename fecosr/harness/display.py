"""Progress of a run: a live table on a terminal, plain lines anywhere else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fecosr.harness.observation import Observation, ReleasedRound
from fecosr.harness.runner import Watcher
from fecosr.harness.scenario import Scenario
from fecosr.ids import COORDINATOR

SILENCE_SECONDS: Final = 15.0
FRAME_SECONDS: Final = 0.1
BAR_WIDTH: Final = 28
_COLOURS: Final = {"killed": "bold red", "restarted": "yellow", "evaluated": "green", "waiting": "dim"}


def facts(scenario: Scenario, observation: Observation) -> Iterator[str]:
    """Yield everything worth a line of its own; what was yielded once is yielded again, unchanged."""
    if observation.port is not None:
        yield f"coordinator listens on port {observation.port}; {len(scenario.markets)} market nodes started"
    for reason in observation.aborted:
        yield f"attempt aborted, {reason}"
    yield from (struck.what for struck in observation.struck)
    for ending in observation.endings:
        if ending.killed and ending.fault is None:
            yield f"{ending.name} was killed (SIGKILL) in round {ending.round} at {_words(ending.activity)}"
        elif ending.returncode and ending.fault is None:
            yield f"{ending.name} failed with exit code {ending.returncode}"
    yield from (
        f"{name} was started again (start {party.times})"
        for name, party in observation.parties.items()
        if party.times > 1
    )
    if observation.sketch is not None:
        lost = f" without {', '.join(observation.sketch.dropouts)}" if observation.sketch.dropouts else ""
        yield f"behaviour sketches of {len(observation.sketch.survivors)} markets opened as one sum{lost}"
    for number in sorted(observation.released):
        yield _round_fact(scenario, observation.released[number])
    if observation.final_round not in {None, observation.completed_rounds}:
        yield f"the run is over; its final model is that of round {observation.final_round}"
    yield from (
        f"{name} is fine-tuned and evaluated"
        for name, party in observation.parties.items()
        if party.activity == "evaluated"
    )


def _round_fact(scenario: Scenario, released: ReleasedRound) -> str:
    lost = f" without {', '.join(released.dropouts)}" if released.dropouts else ""
    loss = "" if released.loss is None else f", loss {released.loss:.4f}"
    measured = ""
    if released.validation is not None:
        measured = f"; the model before it: validation NDCG@10 {released.validation:.4f}"
    total, markets = scenario.plan.run.rounds, len(released.survivors)
    return f"round {released.round} of {total}: sum of {markets} markets opened{lost}{loss}{measured}"


class _News:
    """Remember which facts were told."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._told: set[str] = set()

    def since(self, observation: Observation) -> list[str]:
        """Return the facts nobody has been told."""
        fresh = [fact for fact in facts(self._scenario, observation) if fact not in self._told]
        self._told.update(fresh)
        return fresh


class PlainDisplay:
    """Print one line for each fact, and how things stand whenever nothing was printed for a while."""

    def __init__(self, scenario: Scenario, console: Console) -> None:
        self._console = console
        self._news = _News(scenario)
        self._begin = self._last = time.monotonic()

    def show(self, observation: Observation) -> None:
        """Print what is new."""
        now = time.monotonic()
        lines = self._news.since(observation)
        if not lines and now - self._last >= SILENCE_SECONDS:
            running = [name for name, party in observation.parties.items() if party.running]
            lines = [", ".join(f"{name} {_doing(observation, name)}" for name in running)]
        for line in lines:
            self._console.print(f"[{now - self._begin:5.0f} s] {line}", markup=False, soft_wrap=True)
            self._last = now


class LiveDisplay:
    """Redraw a table of all markets a few times a second, with the facts above it."""

    def __init__(self, scenario: Scenario, live: Live) -> None:
        self._scenario = scenario
        self._live = live
        self._news = _News(scenario)
        self._begin = time.monotonic()
        self._drawn = 0.0

    def show(self, observation: Observation) -> None:
        """Print what is new, and redraw unless that was done a moment ago."""
        now = time.monotonic()
        for line in self._news.since(observation):
            self._live.console.print(Text(f"{now - self._begin:5.0f} s  {line}", style="dim"))
        if now - self._drawn < FRAME_SECONDS:
            return
        self._drawn = now
        self._live.update(progress_table(self._scenario, observation, now - self._begin), refresh=True)


def progress_table(scenario: Scenario, observation: Observation, seconds: float) -> RenderableType:
    """Return one bar for the rounds and one line for each market."""
    total, released = scenario.plan.run.rounds, len(observation.released)
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=max(len(market.name) for market in scenario.markets))
    table.add_column(min_width=22)
    table.add_column(min_width=BAR_WIDTH)
    table.add_row(
        Text("rounds", style="bold"), f"{released} of {total}", ProgressBar(total, released, width=BAR_WIDTH)
    )
    for market in scenario.markets:
        party = observation.party(market.name)
        bar = "" if party.fraction is None else ProgressBar(1.0, party.fraction, width=BAR_WIDTH)
        style = _COLOURS.get(party.activity, "")
        table.add_row(market.name, Text(_doing(observation, market.name), style=style), bar)
    return Group(
        "", table, Text(f"coordinator: {_doing(observation, COORDINATOR)}   {seconds:.0f} s", style="dim")
    )


@contextmanager
def watching(scenario: Scenario, console: Console) -> Iterator[Watcher]:
    """Show a run on `console` for the length of a block, the way it can be shown there."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainDisplay(scenario, console)
        return
    # No refresh thread: the runner calls often enough, and it forks.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield LiveDisplay(scenario, live)


def _doing(observation: Observation, name: str) -> str:
    party = observation.party(name)
    activity = _words(party.activity)
    return activity if party.fraction is None else f"{activity} {party.fraction:.0%}"


def _words(activity: str) -> str:
    return activity.replace("_", " ")
