"""What the command says of a verdict; the audit itself is tested under tests/audit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.audit.empirical.measurements import Influence, Noise
from fecosr.audit.empirical.verdict import Attack, Claim, Power, Verdict
from fecosr.privacy.empirical import Guesses

Command = Callable[..., int]
HONEST = Verdict(
    claim=Claim(2.0, 1e-5, {"pld": 1.99, "prv": 2.0}, 0.8),
    attacks=(Attack("one_run_f_dp", "Canaries in one run, by the trade-off", 1.2, 2.0),),
    influence=Influence(3, 0.9998),
    noise=Noise(1.001, 1.02, 20_000),
    power=Power(0.9, 1.0),
    guesses=Guesses(1000, 200, 140),
    rounds_planned=16,
    rounds_released=16,
    terms={
        "rounds": 16,
        "markets": 3,
        "colluding": 1,
        "sampling_probability": 0.5,
        "noise_multiplier": 4.2,
        "num_parameters": 18_000,
        "canaries": 1000,
        "seed": 0,
    },
)


@pytest.fixture
def verdict(monkeypatch: pytest.MonkeyPatch) -> Callable[[Verdict], None]:
    def is_now(found: Verdict) -> None:
        monkeypatch.setattr("fecosr.cli.audit_empirical.audit_empirically", lambda *_a, **_k: found)

    return is_now


def test_a_claim_that_withstood_is_no_failure_and_no_proof(
    command: Command, verdict: Callable[[Verdict], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verdict(HONEST)
    assert command("audit", "empirical", "--canaries", "1000", "--rounds", "2") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "epsilon 2.00 at delta 1e-05" in said
    assert "epsilon at least 1.20" in said
    assert "That is no proof" in said
    assert "90% of cases" in said


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            replace(HONEST, attacks=(Attack("one_run", "Canaries in one run", 3.1, 2.0),)),
            "epsilon is at least 3.10 with confidence 95%, but 2.00 was claimed",
        ),
        (replace(HONEST, influence=Influence(3, 1.2)), "User 3 of the first market changes a sum by 1.2"),
        (replace(HONEST, noise=Noise(0.5, 0.51, 20_000)), "0.500 times the standard deviation"),
        (replace(HONEST, rounds_released=1), "Only 1 of 16 rounds"),
    ],
)
def test_a_refuted_claim_is_exit_code_one_and_said_in_words(
    command: Command,
    verdict: Callable[[Verdict], None],
    capsys: pytest.CaptureFixture[str],
    found: Verdict,
    words: str,
) -> None:
    verdict(found)
    assert command("audit", "empirical", "--rounds", "2", "--broken", "noise-halved") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert words in said
    assert "The claim does not hold." in said
    assert "broken on purpose: noise-halved" in said


def test_programs_are_told_the_same(
    command: Command, verdict: Callable[[Verdict], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verdict(HONEST)
    assert command("audit", "empirical", "--rounds", "2", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verified"] is True
    assert told["attacks"][0]["epsilon_lower_bound"] == 1.2
    assert told["broken"] is None


def test_a_run_folder_and_terms_of_ones_own_exclude_each_other(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command("audit", "empirical", str(tmp_path), "--epsilon", "2") == 2
    assert "says epsilon" in capsys.readouterr().err
    assert command("audit", "empirical", str(tmp_path)) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_the_command_of_a_run_folder_may_be_named(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command("audit", "run", str(tmp_path), "--json") == 2
    named = capsys.readouterr().out
    assert command("audit", "--json", str(tmp_path)) == 2
    assert capsys.readouterr().out == named
