import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.cli import yardstick
from fecosr.training.baselines.sasrec import MEDIUM_ENCODER, MEDIUM_TRAINING

Command = Callable[..., int]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a file of user sequences, small enough for a model that is made as small."""
    small = replace(MEDIUM_ENCODER, dimension=8, num_blocks=1, feed_forward_dimension=8)
    monkeypatch.setattr(yardstick, "MEDIUM_ENCODER", small)
    monkeypatch.setattr(yardstick, "MEDIUM_TRAINING", replace(MEDIUM_TRAINING, max_epochs=2))
    lines = [f"{user} " + " ".join(str((user + step) % 12) for step in range(7)) for user in range(30)]
    path = tmp_path / "sequences.txt.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return str(path)


def test_it_explains_itself_with_an_example(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("yardstick", "--help") == 0
    assert "fecosr yardstick --data" in " ".join(capsys.readouterr().out.split())


def test_the_table_shows_us_beside_the_published(
    command: Command, capsys: pytest.CaptureFixture[str], data: str
) -> None:
    assert command("yardstick", "--data", data) == 0
    said = capsys.readouterr().out
    assert "30 users, 12 items; seed 0; trained for " in said
    assert "FeCoSR's encoder, test" in said
    assert "SASRec, sampled softmax (published)" in said


def test_json_holds_figures_and_everything_that_decides_them(
    command: Command, capsys: pytest.CaptureFixture[str], data: str
) -> None:
    assert command("yardstick", "--data", data, "--seed", "4", "--device", "cpu", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["users"], report["items"], report["seed"], report["device"]) == (30, 12, 4, "cpu")
    assert report["test"].keys() == report["validation"].keys() == {"hr@10", "ndcg@10", "mrr"}
    assert report["training_seconds"] > 0.0
    assert report["encoder"]["dimension"] == 8
    assert report["training"]["schedule"] == "cosine"
    assert report["published"]["eSASRec"] == {"hr@10": 0.0928, "ndcg@10": 0.0523}


def test_data_that_are_not_there_are_one_line(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command("yardstick", "--data", str(tmp_path)) == 2
    assert "Beauty.txt.gz" in capsys.readouterr().err
