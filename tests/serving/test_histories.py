from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fecosr.data.catalogue import Catalogue
from fecosr.data.sequences import MarketSequences
from fecosr.data.settings import DataSettings
from fecosr.errors import ConfigError, DataError
from fecosr.serving.histories import given_users, read_history_file, read_market_histories
from tests.reference.trained_market import DATA

CATALOGUE = Catalogue(("apple", "bread", "cheese"))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_histories_of_a_market_are_the_whole_sequences_of_its_users(market: MarketSequences) -> None:
    histories = read_market_histories(DATA, market.catalogue)
    assert histories.user_ids == market.user_ids
    assert all(map(np.array_equal, histories.sequences, market.sequences))
    assert (histories.unknown_interactions, histories.users_without_history) == (0, 0)


def test_users_too_short_to_train_on_are_served_too(tmp_path: Path) -> None:
    path = write(tmp_path / "fr.csv", "user,item,timestamp\nu,apple,1\n")
    settings = DataSettings(kind="csv", path=str(path), min_core=5)
    assert read_market_histories(settings, CATALOGUE).user_ids == ("u",)


def test_given_users_are_picked_and_strangers_are_no_error_unless_all_are(market: MarketSequences) -> None:
    wanted = (market.user_ids[7], market.user_ids[3], "stranger")
    histories = read_market_histories(DATA, market.catalogue, wanted)
    assert histories.user_ids == (market.user_ids[3], market.user_ids[7])
    with pytest.raises(ConfigError, match="none of the given users"):
        read_market_histories(DATA, market.catalogue, ("stranger",))


def test_a_file_of_histories_is_in_order_of_time_and_what_is_unknown_is_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "new.csv",
        "user,item,timestamp\nv,cheese,2\nv,apple,1\nv,wine,3\nu,bread,9\nw,wine,1\nw,beer,2\n",
    )
    histories = read_history_file(path, CATALOGUE)
    assert histories.user_ids == ("u", "v")
    assert [sequence.tolist() for sequence in histories.sequences] == [[1], [0, 2]]
    assert (histories.unknown_interactions, histories.unknown_items) == (3, 2)
    assert histories.users_without_history == 1


def test_without_timestamps_the_order_of_the_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "new.parquet"
    pl.DataFrame({"user": [1, 1, 1], "item": ["cheese", "apple", "cheese"]}).write_parquet(path)
    histories = read_history_file(path, CATALOGUE)
    assert histories.user_ids == ("1",)
    assert histories.sequences[0].tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("new.csv", "user,timestamp\nu,1\n", "new.csv:1: no column item"),
        ("new.csv", "user,item\n", "holds no interaction"),
        ("new.csv", "user,item\nu,\n", "new.csv:2: column item is empty"),
        ("new.xlsx", "", "its format is not known"),
        ("new.parquet", "nonsense", "not a readable Parquet file"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_history_file(write(tmp_path / name, text), CATALOGUE)


def test_users_are_given_by_id_or_by_file(tmp_path: Path) -> None:
    path = write(tmp_path / "users.txt", "b\n\n c \na\n")
    assert given_users(["a", str(path), "a"]) == ("a", "b", "c")
    assert given_users(["x" * 5000]) == ("x" * 5000,)


def test_excluded_users_stay_excluded(market: MarketSequences) -> None:
    settings = replace(DATA, exclude_users=(market.user_ids[0],))
    assert read_market_histories(settings, market.catalogue).user_ids == market.user_ids[1:]
