"""Progress on standard error, so that standard output stays free for results."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SILENCE_SECONDS: Final = 10.0
"""Where there is no terminal to draw on, a line is written this often."""


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar for the length of a block and hand it a function that moves the bar on."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(what, total, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def progress_to(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for the length of a block and hand it a function that says how much of how much is done."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        lines = _Lines(what, 0, console)
        yield lines.reached
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def progress_through(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for the length of a block and hand it a function that says what goes on, and how far."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(what, 0, console).busy_with
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda activity, done, total: progress.update(
            task, description=activity, completed=done, total=total
        )


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that work is going on whose length nobody knows; nothing where there is no terminal to draw on."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield
        return
    with console.status(what):
        yield


class _Lines:
    """Say now and then how much is done."""

    def __init__(self, what: str, total: int, console: Console) -> None:
        self._what, self._total, self._console = what, total, console
        self._done = 0
        self._spoke = time.monotonic()

    def __call__(self, done: int) -> None:
        self.reached(self._done + done, self._total)

    def busy_with(self, activity: str, done: int, total: int) -> None:
        self._what = activity
        self.reached(done, total)

    def reached(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        now = time.monotonic()
        if now - self._spoke >= SILENCE_SECONDS:
            self._spoke = now
            self._console.print(f"{self._what}: {self._done} of {self._total}", markup=False, soft_wrap=True)
