import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from fecosr.cli import app as cli
from fecosr.cli import simulate

Command = Callable[..., int]
SMALL = ("simulate", "--nodes", "8", "--length", "20")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line in this process and return its exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["fecosr", *arguments])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        return int(exited.value.code or 0)

    return run


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_it_explains_itself_with_an_example(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("simulate", "--help") == 0
    assert "fecosr simulate --nodes 50" in " ".join(capsys.readouterr().out.split())


def test_a_quiet_network_opens_everybodys_sum(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*SMALL, "--json") == 0
    report = printed(capsys)
    assert (report["survivors"], report["dropouts"], report["sum_correct"]) == (8, {}, True)
    assert report["abort"] is None
    assert report["faults"] == []
    assert report["wall_seconds"] > 0
    assert report["coordinator_seconds"] > 0
    assert report["peak_memory_bytes"] > 2**20


def test_dropouts_are_told_by_phase_and_reason(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--dropout", "0.3", "--seed", "3", "--faults", "notice=0.5", "--n-min", "2")
    assert command(*SMALL, *options, "--max-colluding", "0") == 0
    said = capsys.readouterr().out
    assert "8 nodes, 20 elements of 32 bits, n_min 2, max_colluding 0, seed 3\n" in said
    assert "dropouts in " in said
    assert "the sum equals the oracle's\n" in said
    assert "peak memory" in said


def test_the_same_seed_tells_the_same_story(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    stories = []
    for seed in ("5", "5", "6"):
        assert command(*SMALL, "--dropout", "0.2", "--seed", seed, "--json") == 0
        measured = {"wall_seconds": 0, "coordinator_seconds": 0, "peak_memory_bytes": 0}
        stories.append({**printed(capsys), "seed": 0, **measured})
    assert stories[0] == stories[1] != stories[2]


@pytest.mark.parametrize("ring_bits", [16, 24])
def test_smaller_rings_add_up_too(
    command: Command, capsys: pytest.CaptureFixture[str], ring_bits: int
) -> None:
    assert command(*SMALL, "--ring-bits", str(ring_bits), "--dropout", "0.1", "--json") == 0
    report = printed(capsys)
    assert (report["ring_bits"], report["sum_correct"]) == (ring_bits, True)


def test_an_abort_that_had_to_be_is_no_failure(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*SMALL, "--dropout", "1") == 0
    said = capsys.readouterr().out
    assert "aborted: too_few_" in said
    assert "as it had to be" in said


def test_a_wrong_sum_is_a_failure(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fecosr.simulation.verdict.oracle_sum", lambda *_: None)
    assert command(*SMALL) == 1
    said = capsys.readouterr().out
    assert "the sum DIFFERS FROM the oracle's" in said
    assert "wrong: the sum is not the survivors' vectors added up" in said


def test_what_takes_long_says_where_it_is(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate, "SILENCE_SECONDS", 0.0)
    assert command(*SMALL, "--json") == 0
    said = capsys.readouterr()
    assert "advertise_keys: 1 of 8 through, 0 of 8 have left" in said.err
    assert "unmask: " in said.err
    assert json.loads(said.out)["completed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--faults", "speed=3"), "'speed=3' is no fault"),
        (("--faults", "loss"), "'loss' is no fault"),
        (("--faults", "dropout=0.1"), "'dropout=0.1' is no fault"),
        (("--faults", "loss=often"), "loss='often' is not a number"),
        (("--faults", "loss=2"), "a chance must be in [0, 1]"),
        (("--ring-bits", "8"), "a ring has 32, 24, 16 bits, not 8"),
        (("--n-min", "9"), "this cannot be simulated"),
        (("--n-min", "3", "--max-colluding", "2"), "n_min must be at least max_colluding + 2"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_line(
    command: Command, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert command(*SMALL, *options) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
