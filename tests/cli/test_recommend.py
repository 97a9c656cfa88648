"""`fecosr recommend`, from a model folder to rows by external ids."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from fecosr.serving.market_model import ServedModel, load_market_model

Command = Callable[..., int]


@pytest.fixture
def served(model_folder: Path) -> ServedModel:
    return load_market_model(model_folder)


def test_all_users_get_their_items_in_a_file(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "top.parquet"
    assert command("recommend", str(model_folder), "--k", "5", "--out", str(out)) == 0
    said = capsys.readouterr()
    assert said.err == f"300 recommendations for 60 users: {out}\n"
    table = pl.read_parquet(out)
    assert table.columns == ["user", "rank", "item", "score"]
    assert table["user"].n_unique() == 60
    assert table["rank"].to_list() == [1, 2, 3, 4, 5] * 60
    again = tmp_path / "again.parquet"
    assert command("recommend", str(model_folder), "--k", "5", "--out", str(again)) == 0
    assert again.read_bytes() == out.read_bytes()


def test_without_a_file_rows_go_to_standard_output(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "top.csv"
    assert command("recommend", str(model_folder), "--k", "2", "--out", str(out)) == 0
    capsys.readouterr()
    assert command("recommend", str(model_folder), "--k", "2") == 0
    assert capsys.readouterr().out == out.read_text()


def test_given_users_are_served_and_strangers_counted(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "vip.txt").write_text("isle-user-00004\nnobody\n")
    users = ("--users", "isle-user-00002", "--users", str(tmp_path / "vip.txt"))
    assert command("recommend", str(model_folder), "--k", "1", *users) == 0
    said = capsys.readouterr()
    assert [row.split(",")[0] for row in said.out.splitlines()[1:]] == ["isle-user-00002", "isle-user-00004"]
    assert "1 of the 3 given users are not in the market's data\n" in said.err


def test_nobody_to_serve_is_exit_code_2(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    assert command("recommend", str(model_folder), "--users", "nobody") == 2
    assert command("recommend", str(model_folder), "--users", str(tmp_path / "empty.txt")) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "error: none of the given users is in the market's data (check --users)",
        "error: --users: names no user (write one id in each line)",
    ]


def test_seen_items_are_recommended_only_on_demand(
    command: Command,
    capsys: pytest.CaptureFixture[str],
    model_folder: Path,
    served: ServedModel,
    tmp_path: Path,
) -> None:
    items = served.catalogue.items.item_ids
    (tmp_path / "new.csv").write_text(f"user,item\nzoe,{items[3]}\nzoe,{items[8]}\nzoe,wine\n")
    new = ("--histories", str(tmp_path / "new.csv"), "--k", "1000")
    assert command("recommend", str(model_folder), *new) == 0
    said = capsys.readouterr()
    rows = [row.split(",")[2] for row in said.out.splitlines()[1:]]
    assert sorted([*rows, items[3], items[8]]) == list(items)
    assert "skipped 1 interactions with 1 items the model does not know\n" in said.err
    assert command("recommend", str(model_folder), *new, "--keep-seen") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(items) + 1


def test_new_items_are_recommended_where_titles_mean_something(
    command: Command,
    capsys: pytest.CaptureFixture[str],
    model_folder: Path,
    served: ServedModel,
    tmp_path: Path,
) -> None:
    titles = served.catalogue.items.titles
    assert titles is not None
    first = served.catalogue.items.item_ids[0]
    (tmp_path / "arrivals.csv").write_text(f"item,title\narrival,{titles[5]}\n{first},renamed\n")
    arrivals = ("--new-items", str(tmp_path / "arrivals.csv"))
    assert command("recommend", str(model_folder), "--k", "1000", *arrivals) == 0
    said = capsys.readouterr()
    assert sum(",arrival," in row for row in said.out.splitlines()) == 60
    assert "1 of the new items are in the catalogue already" in said.err


def test_where_ids_stand_in_for_titles_that_is_said(
    command: Command, capsys: pytest.CaptureFixture[str], untitled_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "arrivals.csv").write_text("item,title\narrival,a tent\n")
    assert command("recommend", str(untitled_folder), "--new-items", str(tmp_path / "arrivals.csv")) == 2
    assert "new items cannot be scored" in capsys.readouterr().err
    assert command("recommend", str(untitled_folder), "--k", "1") == 0
    said = capsys.readouterr().err
    assert "items without training interactions are not recommended" in said


def test_options_that_contradict_each_other_are_refused(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path
) -> None:
    assert command("recommend", str(model_folder), "--histories", "a.csv", "--users", "b") == 2
    assert "--histories stands in for --data and --users" in capsys.readouterr().err


def test_a_file_of_an_unknown_format_is_refused_before_any_work(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command("recommend", str(tmp_path / "no-model"), "--out", str(tmp_path / "top.xlsx")) == 2
    assert "end it in .parquet or .csv" in capsys.readouterr().err
