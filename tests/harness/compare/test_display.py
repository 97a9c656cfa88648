"""What people are shown while a comparison runs."""

import io

import pytest
from rich.console import Console

from fecosr.harness.compare import display
from fecosr.harness.compare.cells import Cell
from fecosr.harness.compare.display import PlainDisplay, duration, watching
from fecosr.harness.compare.jobs import Advanced, CellDone

CELL = Cell("fecosr", "raw", 2)
LABELS = {"fecosr": "FeCoSR"}


def test_lines_tell_of_finished_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    with watching(Console(file=text), LABELS, 2) as watcher:
        watcher.told(0, Advanced(CELL, "rounds", 1, 40))
        watcher.told(0, CellDone(CELL, 3.4))
        watcher.idle(0)
    assert isinstance(watcher, PlainDisplay)
    (line,) = text.getvalue().splitlines()
    assert line.endswith("1 of 2: FeCoSR, raw, seed 2 done in 3 s")


def test_nothing_goes_on_for_long_without_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "SILENCE_SECONDS", 0.0)
    text = io.StringIO()
    PlainDisplay(Console(file=text), LABELS, 2).told(1, Advanced(CELL, "rounds", 7, 40))
    assert "0 of 2: FeCoSR, raw, seed 2: rounds 7 of 40" in text.getvalue()


def test_a_terminal_has_a_bar_for_all_and_one_for_each_process() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120, legacy_windows=False, _environ={})
    with watching(console, LABELS, 4) as watcher:
        watcher.told(0, Advanced(CELL, "rounds", 20, 40))
        watcher.told(1, Advanced(Cell("fecosr", "raw", 3), "fine-tuning", 1, 7))
        watcher.told(0, CellDone(CELL, 3.4))
        watcher.idle(0)
    shown = text.getvalue()
    assert "all cells" in shown
    assert "1 of 4" in shown
    assert "fine-tuning 1 of 7" in shown
    assert "FeCoSR, raw, seed 2 done in 3 s" in shown


@pytest.mark.parametrize(
    ("seconds", "expected"), [(4.4, "4 s"), (89, "89 s"), (100, "2 min"), (3600, "60 min"), (9000, "2.5 h")]
)
def test_time_spans_are_said_as_people_say_them(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
