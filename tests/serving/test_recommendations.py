"""What is recommended is what brute force finds, and a file is whole or not there."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fecosr.data.sequences import MarketSequences
from fecosr.errors import ConfigError, StorageError
from fecosr.serving import recommendations
from fecosr.serving.evaluation import scorer_of
from fecosr.serving.histories import Histories, read_market_histories
from fecosr.serving.market_model import ServedModel
from fecosr.serving.new_items import with_new_items
from fecosr.serving.recommendations import check_out, recommend, write_file, write_stream
from tests.reference.trained_market import DATA


@pytest.fixture(scope="module")
def histories(market: MarketSequences) -> Histories:
    return read_market_histories(DATA, market.catalogue)


def table(served: ServedModel, histories: Histories, k: int, *, keep_seen: bool = False) -> pl.DataFrame:
    done: list[int] = []
    blocks = list(recommend(served, histories, k, keep_seen=keep_seen, advance=done.append))
    assert sum(done) == len(histories.user_ids)
    return pl.concat(blocks)


def expected(
    served: ServedModel, histories: Histories, k: int, *, keep_seen: bool, candidates: set[int]
) -> list[tuple[str, int, str]]:
    rows = []
    scores = scorer_of(served)(histories.sequences)
    for user, history, row in zip(histories.user_ids, histories.sequences, scores, strict=True):
        left = candidates - (set() if keep_seen else set(history.tolist()))
        ranked = sorted(left, key=lambda item: (-row[item], served.catalogue.items.item_ids[item]))
        rows += [
            (user, rank, served.catalogue.items.item_ids[item]) for rank, item in enumerate(ranked[:k], 1)
        ]
    return rows


@pytest.mark.parametrize("keep_seen", [False, True])
def test_the_top_ten_of_all_users_are_those_of_brute_force(
    served: ServedModel, histories: Histories, *, keep_seen: bool
) -> None:
    found = table(served, histories, 10, keep_seen=keep_seen)
    everything = set(range(len(served.catalogue.items)))
    assert found.select("user", "rank", "item").rows() == expected(
        served, histories, 10, keep_seen=keep_seen, candidates=everything
    )
    assert dict(found.schema) == recommendations.SCHEMA


def test_blocks_change_nothing(
    served: ServedModel, histories: Histories, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = table(served, histories, 5)
    monkeypatch.setattr(recommendations, "_BLOCK_SCORES", 700)
    pieces = table(served, histories, 5)
    assert pieces.drop("score").equals(whole.drop("score"))
    np.testing.assert_allclose(pieces["score"].to_numpy(), whole["score"].to_numpy(), rtol=1e-5)


def test_cold_items_are_recommended_by_their_titles(served: ServedModel, histories: Histories) -> None:
    larger, _ = with_new_items(
        served, {f"new-{number}": title for number, title in enumerate(titles(served))}
    )
    renumbered = read_market_histories(DATA, larger.catalogue.items)
    found = table(larger, renumbered, 50)
    assert found["item"].str.starts_with("new-").any()


def titles(served: ServedModel) -> tuple[str, ...]:
    assert served.catalogue.items.titles is not None
    return served.catalogue.items.titles


def test_cold_items_without_meaning_are_never_recommended(
    untitled: ServedModel, histories: Histories
) -> None:
    in_training = untitled.catalogue.in_training
    cold = {untitled.catalogue.items.item_ids[item] for item in np.flatnonzero(~in_training)}
    found = table(untitled, histories, 100)
    assert cold
    assert not cold & set(found["item"])
    assert found.select("user", "rank", "item").rows() == expected(
        untitled, histories, 100, keep_seen=False, candidates=set(np.flatnonzero(in_training).tolist())
    )


@pytest.mark.parametrize("name", ["top.parquet", "top.csv"])
def test_a_file_holds_every_row_in_order(
    served: ServedModel, histories: Histories, tmp_path: Path, name: str
) -> None:
    whole = table(served, histories, 3)
    pieces = (whole[start : start + 7] for start in range(0, whole.height, 7))
    assert write_file(pieces, tmp_path / name) == whole.height
    read = pl.read_parquet if name.endswith(".parquet") else pl.read_csv
    back = read(tmp_path / name).cast(pl.Schema(recommendations.SCHEMA))
    assert back.equals(whole)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_nobody_to_recommend_to_gives_a_table_without_rows(tmp_path: Path) -> None:
    assert write_file([], tmp_path / "top.parquet") == 0
    assert dict(pl.read_parquet(tmp_path / "top.parquet").schema) == recommendations.SCHEMA


def test_an_interrupted_command_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "top.csv"
    out.write_text("old")

    def interrupted() -> Iterator[pl.DataFrame]:
        yield pl.DataFrame(schema=recommendations.SCHEMA)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(interrupted(), out)
    assert [path.name for path in tmp_path.iterdir()] == ["top.csv"]
    assert out.read_text() == "old"


def test_a_disk_that_refuses_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        write_file([], tmp_path / "gone" / "top.csv")


def test_a_stream_gets_one_csv_table(served: ServedModel, histories: Histories) -> None:
    stream = io.StringIO()
    whole = table(served, histories, 2)
    assert write_stream([whole[:5], whole[5:]], stream) == whole.height
    assert stream.getvalue() == whole.write_csv()


@pytest.mark.parametrize("name", ["top.xlsx", "top", "missing/top.csv", "folder.csv"])
def test_a_file_that_cannot_be_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError):
        check_out(tmp_path / name)
