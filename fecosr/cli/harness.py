"""`fecosr harness` and `fecosr demo`: run a scenario, show it, and turn its verdict into an exit code."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from fecosr.errors import ConfigError
from fecosr.harness.conclusion import Outcome
from fecosr.harness.demo import demo_scenario, fresh_run_folder
from fecosr.harness.display import watching
from fecosr.harness.results import Result, explanation, write_junit, write_results
from fecosr.harness.runner import run_scenario
from fecosr.harness.scenario import Scenario, load_scenario, shipped_scenarios
from fecosr.harness.schema import reference
from fecosr.harness.tables import closing_lines, figures_table
from fecosr.harness.warm_starts import Spawn, WarmStarts, spawn_cold
from fecosr.serving.facts import MODEL_FOLDER

RUNS: Final = Path("runs")
TEMPLATES: Final = frozenset({"xmarket"})
"""Shipped files that only become scenarios with the markets of a folder."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Say where results go.

    Attributes:
        out: the run folder of a single scenario, or of several the folder of theirs; None finds a free one.
        keep_kits: where to leave the startup kits, keys and all.
        junit: a JUnit XML file.
        json: a JSON file.
        cold: whether every market node is started as an operator would, which takes a while each time.
    """

    out: Path | None = None
    keep_kits: Path | None = None
    junit: Path | None = None
    json: Path | None = None
    cold: bool = False


def run_files(names_or_paths: Sequence[str], wanted: Wanted) -> int:
    """Run scenarios from files, or shipped ones by name, one after the other; return the exit code."""
    # Whatever is unusable is told before the first process is started.
    scenarios = [load_scenario(_path_of(name)) for name in names_or_paths]
    if not scenarios:
        scenarios = [
            load_scenario(path) for name, path in shipped_scenarios().items() if name not in TEMPLATES
        ]
    folders = _folders([scenario.name for scenario in scenarios], wanted.out)
    results: list[Result] = []
    with WarmStarts() as starts:
        spawn = spawn_cold if wanted.cold else starts.spawn
        for scenario, out in zip(scenarios, folders, strict=True):
            outcome = _run(scenario, out, _kits_of(scenario, wanted, alone=len(scenarios) == 1), spawn)
            _report(Console(highlight=False), outcome, every_verdict=True)
            results.append((scenario, outcome))
            # Written after each, so that a run of many that is cut short leaves what it has.
            if wanted.junit is not None:
                write_junit(wanted.junit, results)
            if wanted.json is not None:
                write_results(wanted.json, results)
    if len(results) > 1:
        _report_all(results)
    return 0 if all(outcome.holds for _, outcome in results) else 1


def run_demo(data: Path | None, out: Path | None, rounds: int | None) -> int:
    """Run the demo; return the exit code."""
    outcome = _run(demo_scenario(data, rounds), out or fresh_run_folder(RUNS), None)
    _report(Console(highlight=False), outcome, every_verdict=False)
    return 0 if outcome.holds else 1


def list_scenarios() -> None:
    """Print name and description of each shipped scenario."""
    console = Console(highlight=False)
    for name, path in shipped_scenarios().items():
        if name not in TEMPLATES:
            console.print(f"{name}  {load_scenario(path).description}", markup=False, soft_wrap=True)


def print_keys() -> None:
    """Print every key that a scenario file can hold."""
    console = Console(highlight=False)
    for line in reference():
        console.print(line, markup=False, soft_wrap=True)


def _path_of(name_or_path: str) -> Path:
    path = Path(name_or_path)
    shipped = shipped_scenarios()
    return shipped[name_or_path] if not path.exists() and name_or_path in shipped else path


def _folders(names: Sequence[str], out: Path | None) -> list[Path]:
    if len(names) == 1:
        return [out or fresh_run_folder(RUNS, names[0])]
    if len(set(names)) < len(names):
        raise ConfigError("two of these scenarios have one name", remedy="run them one by one")
    below = out or fresh_run_folder(RUNS, "rehearsal")
    return [below / name for name in names]


def _kits_of(scenario: Scenario, wanted: Wanted, *, alone: bool) -> Path | None:
    if wanted.keep_kits is None or alone:
        return wanted.keep_kits
    return wanted.keep_kits / scenario.name


def _run(scenario: Scenario, out: Path, keep_kits: Path | None, spawn: Spawn = spawn_cold) -> Outcome:
    console = Console(highlight=False)
    console.print(f"{scenario.name}: {scenario.description}", markup=False, soft_wrap=True)
    with _termination_interrupts(), watching(scenario, console) as watcher:
        return run_scenario(scenario, out, watcher, keep_kits=keep_kits, spawn=spawn)


def _report_all(results: Sequence[Result]) -> None:
    console = Console(highlight=False)
    console.print()
    for scenario, outcome in results:
        failed = [verdict for verdict in outcome.verdicts if not verdict.holds]
        console.print(
            f"{'holds' if outcome.holds else 'FAILS'}  {scenario.name}  {outcome.summary.seconds:.0f} s"
            f"{''.join(f'; {verdict.expectation}: {verdict.found}' for verdict in failed)}",
            markup=False,
            soft_wrap=True,
            style="" if outcome.holds else "bold red",
        )
    held = sum(outcome.holds for _, outcome in results)
    console.print(f"{held} of {len(results)} scenarios hold")


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
    for line in explanation(outcome) if failed else ():
        console.print(line, markup=False, style="red")


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
