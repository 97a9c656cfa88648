"""`fecosr harness` and `fecosr demo`: run a scenario, show it, and turn its verdict into an exit code."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from fecosr.harness.conclusion import Outcome
from fecosr.harness.demo import demo_scenario, fresh_run_folder
from fecosr.harness.display import watching
from fecosr.harness.runner import run_scenario
from fecosr.harness.scenario import Scenario, load_scenario, shipped_scenarios
from fecosr.harness.tables import closing_lines, figures_table
from fecosr.serving.facts import MODEL_FOLDER

RUNS: Final = Path("runs")
TEMPLATES: Final = frozenset({"xmarket"})
"""Shipped files that only become scenarios with the markets of a folder."""


def run_file(name_or_path: str, out: Path, keep_kits: Path | None) -> int:
    """Run a scenario from a file, or a shipped one by name; return the exit code."""
    path = Path(name_or_path)
    shipped = shipped_scenarios()
    if not path.exists() and name_or_path in shipped:
        path = shipped[name_or_path]
    return _run(load_scenario(path), out, keep_kits, every_verdict=True)


def run_demo(data: Path | None, out: Path | None, rounds: int | None) -> int:
    """Run the demo; return the exit code."""
    return _run(demo_scenario(data, rounds), out or fresh_run_folder(RUNS), None, every_verdict=False)


def list_scenarios() -> None:
    """Print name and description of each shipped scenario."""
    console = Console(highlight=False)
    for name, path in shipped_scenarios().items():
        if name not in TEMPLATES:
            console.print(f"{name}  {load_scenario(path).description}", markup=False, soft_wrap=True)


def _run(scenario: Scenario, out: Path, keep_kits: Path | None, *, every_verdict: bool) -> int:
    console = Console(highlight=False)
    console.print(f"{scenario.name}: {scenario.description}", markup=False, soft_wrap=True)
    with _termination_interrupts(), watching(scenario, console) as watcher:
        outcome = run_scenario(scenario, out, watcher, keep_kits=keep_kits)
    _report(console, outcome, every_verdict=every_verdict)
    return 0 if outcome.holds else 1


def _report(console: Console, outcome: Outcome, *, every_verdict: bool) -> None:
    console.print()
    if outcome.summary.markets:
        console.print(figures_table(outcome.summary))
        console.print()
    for line in closing_lines(outcome):
        console.print(line, markup=False)
    # A path is not broken into lines, so that it can be copied.
    console.print(f"run folder: {outcome.out}", markup=False, soft_wrap=True)
    for figures in outcome.summary.markets[:1]:
        console.print(
            f"each market's model: MARKET/{MODEL_FOLDER} in it; "
            f"try fecosr recommend {outcome.out / figures.market / MODEL_FOLDER} --k 5",
            markup=False,
            soft_wrap=True,
        )
    console.print()
    failed = [verdict for verdict in outcome.verdicts if not verdict.holds]
    for verdict in outcome.verdicts if every_verdict else failed:
        console.print(verdict.sentence(), markup=False, style="" if verdict.holds else "bold red")
    console.print(f"{len(outcome.verdicts) - len(failed)} of {len(outcome.verdicts)} expectations hold")
    for name, party in outcome.observation.parties.items():
        if failed and party.last_error:
            console.print(f"{name} said: {party.last_error[:500]}", markup=False, style="red")


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a run as Ctrl-C does: with every process it started."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
