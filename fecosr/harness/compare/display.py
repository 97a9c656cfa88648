"""Progress of a comparison: bars on a terminal, plain lines anywhere else; always on standard error."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from fecosr.harness.compare.cells import Cell
from fecosr.harness.compare.jobs import Advanced, CellDone, Event
from fecosr.harness.compare.workers import Watcher

SILENCE_SECONDS: Final = 15.0
_FEWEST_FOR_ETA: Final = 0.02


class PlainDisplay:
    """Print one line for each finished cell, and where things stand whenever nothing was printed for long."""

    def __init__(self, console: Console, labels: Mapping[str, str], total: int) -> None:
        self._console, self._labels, self._total = console, labels, total
        self._done = 0
        self._begin = self._last = time.monotonic()

    def told(self, process: int, event: Event) -> None:
        """Print what is new."""
        now = time.monotonic()
        if isinstance(event, CellDone):
            self._done += 1
            self._print(now, f"{name_of(event.cell, self._labels)} done in {event.seconds:.0f} s")
        elif now - self._last >= SILENCE_SECONDS:
            self._print(now, f"{name_of(event.cell, self._labels)}: {doing(event)}")

    def idle(self, process: int) -> None:
        """Say nothing."""

    def _print(self, now: float, text: str) -> None:
        self._last = now
        line = f"[{now - self._begin:5.0f} s] {self._done} of {self._total}: {text}"
        self._console.print(line, markup=False, soft_wrap=True)


class LiveDisplay:
    """Keep one bar for the whole comparison and one for each process."""

    def __init__(self, progress: Progress, labels: Mapping[str, str], total: int) -> None:
        self._progress, self._labels, self._total = progress, labels, total
        self._done = 0
        self._whole = progress.add_task("[bold]all cells", total=total, note=f"0 of {total}")
        self._bars: dict[int, TaskID] = {}
        self._parts: dict[int, float] = {}

    def told(self, process: int, event: Event) -> None:
        """Move the bars."""
        if process not in self._bars:
            self._bars[process] = self._progress.add_task("", total=1.0, note="")
        bar = self._bars[process]
        name = name_of(event.cell, self._labels)
        if isinstance(event, Advanced):
            part = event.done / max(1, event.total)
            self._parts[process] = part
            self._progress.update(bar, description=name, completed=part, note=doing(event))
        else:
            self._done += 1
            self._parts[process] = 0.0
            self._progress.update(bar, description=name, completed=1.0, note="done")
            self._progress.console.print(Text(f"{name} done in {event.seconds:.0f} s", style="dim"))
        completed = self._done + sum(self._parts.values())
        self._progress.update(self._whole, completed=completed, note=f"{self._done} of {self._total}")

    def idle(self, process: int) -> None:
        """Take away the bar of a process that has nothing left to do."""
        self._parts.pop(process, None)
        if process in self._bars:
            self._progress.update(self._bars[process], visible=False)


class RemainingColumn(ProgressColumn):
    """Say how long it will take if it goes on as it went so far."""

    def render(self, task: Task) -> Text:
        """Return the estimate, empty while there is nothing to base it on."""
        part = task.completed / task.total if task.total else 0.0
        if task.id != 0 or task.elapsed is None or part < _FEWEST_FOR_ETA or task.finished:
            return Text("")
        seconds = task.elapsed * (1.0 - part) / part
        return Text(f"about {duration(seconds)} left", style="cyan")


@contextmanager
def watching(console: Console, labels: Mapping[str, str], total: int) -> Iterator[Watcher]:
    """Show a comparison on `console` for the length of a block, the way it can be shown there."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainDisplay(console, labels, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        RemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield LiveDisplay(progress, labels, total)


def name_of(cell: Cell, labels: Mapping[str, str]) -> str:
    """Return what a cell is called in front of people."""
    return f"{labels[cell.method]}, {cell.variant}, seed {cell.seed}"


def doing(event: Advanced) -> str:
    """Return what a process does, in words."""
    return f"{event.activity} {event.done} of {event.total}"


def duration(seconds: float) -> str:
    """Return a time span as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
