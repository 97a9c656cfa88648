"""`fecosr evaluate`, from a model folder to figures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.serving.market_model import ServedModel, load_market_model

Command = Callable[..., int]


@pytest.fixture
def served(model_folder: Path) -> ServedModel:
    return load_market_model(model_folder)


def test_the_figures_are_those_of_the_node(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path, served: ServedModel
) -> None:
    assert command("evaluate", str(model_folder), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert {name: report[name] for name in ("hr@10", "ndcg@10", "mrr")} == served.facts.metrics.test
    assert (report["part"], report["history_filtered"], report["data_of_training"]) == ("test", True, True)
    assert command("evaluate", str(model_folder), "--json", "--part", "validation") == 0
    report = json.loads(capsys.readouterr().out)
    assert {name: report[name] for name in ("hr@10", "ndcg@10", "mrr")} == served.facts.metrics.validation


def test_without_the_filter_the_figures_are_others(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path, served: ServedModel
) -> None:
    assert command("evaluate", str(model_folder), "--json", "--unfiltered") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["history_filtered"] is False
    assert report["mrr"] < served.facts.metrics.test["mrr"]


def test_people_get_a_table(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path, served: ServedModel
) -> None:
    assert command("evaluate", str(model_folder)) == 0
    said = capsys.readouterr()
    last = said.out.strip().splitlines()[-1].split()
    figures = served.facts.metrics.test
    assert last[-3:] == [f"{figures[name]:.4f}" for name in ("hr@10", "ndcg@10", "mrr")]
    assert said.err == ""


def test_other_data_are_used_and_said_to_be_other(
    command: Command,
    capsys: pytest.CaptureFixture[str],
    model_folder: Path,
    served: ServedModel,
    tmp_path: Path,
) -> None:
    items = served.catalogue.items.item_ids
    rows = [f"u{user},{items[user + step]},{step}" for user in range(9) for step in range(4)]
    rows += ["u0,wine,9"]
    (tmp_path / "isle.csv").write_text("\n".join(["user,item,timestamp", *rows]))
    assert command("evaluate", str(model_folder), "--data", str(tmp_path / "isle.csv")) == 0
    said = capsys.readouterr()
    assert "not the data of the training" in said.err
    assert "1 interactions with unknown items were left out" in said.err
    assert said.out.strip().splitlines()[-1].split()[2] == "9"


def test_a_damaged_model_is_one_line_and_exit_code_2(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path
) -> None:
    (path,) = model_folder.glob("parameters-*")
    path.write_bytes(path.read_bytes()[:100])
    assert command("evaluate", str(model_folder)) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: has 100 bytes instead of ")
    assert said.count("\n") == 1


def test_a_part_that_does_not_exist_is_exit_code_2(command: Command, model_folder: Path) -> None:
    assert command("evaluate", str(model_folder), "--part", "train") == 2
