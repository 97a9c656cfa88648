import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from fecosr.audit.attacks.comparison import Shown
from fecosr.privacy.separation import Interval

Command = Callable[..., int]
SURE = Shown(Interval(0.9, 0.8, 1.0), Interval(0.95, 0.9, 1.0), Interval(0.8, 0.7, 0.9), 0.1, (0.7, 0.8))
CHANCE = replace(SURE, membership=Interval(0.5, 0.4, 0.6), items=Interval(0.5, 0.4, 0.6), sure=(0.3, 0.3))
FOUND = {"unmasked": SURE, "masked": CHANCE, "sum": SURE, "private_sum": CHANCE}


def test_all_views_stand_side_by_side(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr("fecosr.cli.audit_attacks.compare", lambda *_arguments: FOUND)
    assert command("audit", "attacks") == 0
    said = capsys.readouterr().out
    assert said.count("0.50 [0.40, 0.60]") == 4
    assert said.count("0.90 [0.80, 1.00]") == 2


def test_programs_are_told_and_leaking_masks_are_exit_code_one(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fecosr.cli.audit_attacks.compare", lambda *_arguments: {**FOUND, "masked": SURE})
    assert command("audit", "attacks", "--json", "--seed", "4") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["verified"] is False
    assert told["seed"] == 4
    assert told["views"]["masked"]["membership_auc"]["mean"] == 0.9


def test_too_few_rounds_are_refused_in_one_line(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("audit", "attacks", "--rounds", "1") == 2
    assert capsys.readouterr().err.count("\n") == 1
