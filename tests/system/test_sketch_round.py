"""Behaviour semantics with real processes, one of them killed in the round that adds up the sketches."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.ledger.log import decode_entry
from fecosr.ledger.records import RoundOpened, SketchReleased
from fecosr.storage.parameters import read_parameters, write_parameters

Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = [pytest.mark.system, pytest.mark.slow]

SCENARIO = Path(__file__).with_name("lost_node.toml")
MARKETS = {"alpha", "beta", "gamma", "delta"}


def run_with_kill(fecosr: Run, folder: Path, target: str, phase: str) -> Path:
    text = (
        SCENARIO.read_text()
        .replace("dimension = 32\n", 'kind = "behaviour"\ndimension = 32\nsketch_buckets = 16384\n', 1)
        .replace('target = "beta"\nround = 2', f'target = "{target}"\nround = 0')
        .replace('phase = "masked_input"', f'phase = "{phase}"')
        .replace("[expect]\n", '[expect]\nsums = "recomputed"\n')
    )
    (folder / "scenario.toml").write_text(text)
    out = folder / "run"
    command = fecosr("harness", "run", str(folder / "scenario.toml"), "--out", str(out))
    assert command.returncode == 0, command.stdout + command.stderr
    return out


@pytest.mark.parametrize(
    ("target", "phase"),
    [("beta", "training"), ("beta", "masked_input"), ("beta", "unmask"), ("coordinator", "unmask")],
)
def test_a_kill_in_the_sketch_round_changes_nothing_but_who_is_in_the_sum(
    fecosr: Run, tmp_path: Path, target: str, phase: str
) -> None:
    out = run_with_kill(fecosr, tmp_path, target, phase)

    lines = (out / "coordinator" / "ledger.jsonl").read_bytes().splitlines()
    bodies = [decode_entry(line, number).body for number, line in enumerate(lines)]
    (sketch,) = [body for body in bodies if isinstance(body, SketchReleased)]
    absent = {target} if phase in {"training", "masked_input"} else set()
    assert set(sketch.survivors) == MARKETS - absent
    assert sketch.attempt == (2 if target == "coordinator" else 1)
    later = [body.manifest for body in bodies if isinstance(body, RoundOpened) and body.round > 0]
    assert {manifest.sketch_hash for manifest in later} == {sketch.sketch_hash}
    name = f"{sketch.sketch_hash.hex()}.safetensors"
    for market in MARKETS:
        assert (out / market / "sketch" / name).is_file()
        report = json.loads((out / market / "report.json").read_text())
        assert report["semantics"].startswith("behaviour")


def test_the_market_model_serves_and_a_tampered_sketch_is_found(fecosr: Run, tmp_path: Path) -> None:
    out = run_with_kill(fecosr, tmp_path, "beta", "consistency")

    report = json.loads((out / "alpha" / "report.json").read_text())
    evaluated = fecosr("evaluate", str(out / "alpha" / "model"), "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    figures = json.loads(evaluated.stdout)
    assert {name: figures[name] for name in report["methods"]["fecosr"]} == report["methods"]["fecosr"]
    recommended = fecosr(
        "recommend", str(out / "alpha" / "model"), "--k", "5", "--out", str(tmp_path / "top.csv")
    )
    assert recommended.returncode == 0, recommended.stderr
    (sketch,) = (out / "alpha" / "sketch").glob("*.safetensors")
    (tmp_path / "new.csv").write_text("item,title\nnobody-has-it,A lamp\n")
    arguments = ["--new-items", str(tmp_path / "new.csv"), "--embedding", str(sketch)]
    larger = fecosr(
        "recommend", str(out / "alpha" / "model"), *arguments, "--out", str(tmp_path / "more.csv")
    )
    assert larger.returncode == 0, larger.stderr
    assert "no user of any market has them" in larger.stderr

    assert fecosr("audit", str(out)).returncode == 0
    (path,) = (out / "coordinator" / "sketch").iterdir()
    write_parameters(path, read_parameters(path) * 2, {})
    audited = fecosr("audit", str(out), "--json")
    assert audited.returncode == 1
    assert [finding["rule"] for finding in json.loads(audited.stdout)["findings"]] == ["sketch_file"]
