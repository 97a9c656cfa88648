from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.data.interactions import read_interactions
from fecosr.data.markets import Overlap, discover_markets, overlapping_users, without_overlaps
from fecosr.data.sequences import load_market
from fecosr.errors import DataError

Writer = Callable[[str, str], Path]


def csv_of(*users: str) -> str:
    return "user,item,timestamp\n" + "".join(f"{user},i,1\n" for user in users)


def test_one_file_per_market_is_found_whatever_its_format(write: Writer, tmp_path: Path) -> None:
    for name in ("UK.csv", "de.csv.gz", "fr.inter", "jp.parquet", "README.md", "fr.item"):
        write(name, "x")
    markets = discover_markets(tmp_path)
    assert {name: settings.kind for name, settings in markets} == {
        "uk": "csv",
        "de": "csv",
        "fr": "recbole",
        "jp": "parquet",
    }
    assert all(settings.market == name for name, settings in markets)


def test_xmarket_files_are_found(write: Writer, tmp_path: Path) -> None:
    for name in ("uk_5core.txt", "de_5core.txt.gz", "notes.txt"):
        write(name, "userId itemId rate date\nu i 5.0 2024-05-01\n")
    markets = discover_markets(tmp_path)
    assert [name for name, _ in markets] == ["de", "uk"]
    assert [read_interactions(settings).height for _, settings in markets] == [1, 1]


def test_user_sequences_are_found_where_there_is_nothing_else(write: Writer, tmp_path: Path) -> None:
    beauty = write("Beauty.txt.gz", "1 a b\n")
    write("toys.txt", "1 a c\n")
    assert [(name, settings.kind) for name, settings in discover_markets(beauty)] == [("beauty", "sequences")]
    markets = discover_markets(tmp_path)
    assert [(name, settings.kind) for name, settings in markets] == [
        ("beauty", "sequences"),
        ("toys", "sequences"),
    ]
    assert [read_interactions(settings).height for _, settings in markets] == [2, 2]
    write("de.csv", csv_of("u"))
    assert [name for name, _ in discover_markets(tmp_path)] == ["de"]


def test_one_file_of_xmarket_is_no_file_of_user_sequences(write: Writer) -> None:
    with pytest.raises(DataError, match="no folder of markets"):
        discover_markets(write("de_5core.txt", "userId itemId rate date\n"))


def test_online_retail_is_cut_into_six_markets(write: Writer) -> None:
    path = write("online_retail.csv", "x")
    for place in (path, path.parent):
        names = [name for name, _ in discover_markets(place)]
        assert names == ["uk", "de", "fr", "iberia-italy", "benelux-ch", "nordics"]


def test_a_place_without_markets_is_refused(write: Writer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder holds no market"):
        discover_markets(tmp_path)
    with pytest.raises(DataError, match="no folder of markets"):
        discover_markets(tmp_path / "gone")
    with pytest.raises(DataError, match="no folder of markets"):
        discover_markets(write("de.parquet", "x"))


def test_two_files_for_one_market_are_refused(write: Writer, tmp_path: Path) -> None:
    write("de.csv", "x")
    write("DE.parquet", "x")
    with pytest.raises(DataError, match="a second file for market de"):
        discover_markets(tmp_path)


def test_a_file_name_that_is_no_market_name_is_refused(write: Writer, tmp_path: Path) -> None:
    write("all sales.csv", "x")
    with pytest.raises(DataError, match="rename the file"):
        discover_markets(tmp_path)


def test_users_of_two_markets_stay_in_the_larger_one_only(write: Writer, tmp_path: Path) -> None:
    write("big.csv", csv_of("a", "b", "b", "c", "d"))
    write("mid.csv", csv_of("c", "e", "f"))
    write("small.csv", csv_of("b", "c", "f", "g")[: -len("g,i,1\n")])
    markets = discover_markets(tmp_path)
    assert overlapping_users([settings for _, settings in markets]) == (
        Overlap("b", "big", ("small",)),
        Overlap("c", "big", ("mid", "small")),
        Overlap("f", "mid", ("small",)),
    )
    write("small.csv", csv_of("b", "c", "f", "h"))
    disjoint = dict(without_overlaps(discover_markets(tmp_path)))
    users = {name: set(read_interactions(settings)["user"]) for name, settings in disjoint.items()}
    assert users == {"big": {"a", "b", "c", "d"}, "mid": {"e"}, "small": {"f", "h"}}


def test_four_users_of_the_real_files_occur_in_two_markets(real_data: Path) -> None:
    markets = discover_markets(real_data / "xmarket-electronics")
    overlaps = overlapping_users([settings for _, settings in markets])
    assert sorted((overlap.kept_in, *overlap.dropped_from) for overlap in overlaps) == [
        ("ca", "uk"),
        ("uk", "de"),
        ("uk", "de"),
        ("uk", "fr"),
    ]


def test_the_real_files_come_filtered_and_are_not_filtered_again(real_data: Path) -> None:
    markets = without_overlaps(discover_markets(real_data / "xmarket-electronics"))
    sizes = {}
    for name, settings in markets:
        market = load_market(settings)
        sizes[name] = (market.num_users, market.num_items, market.num_interactions)
    assert sizes == {
        "ca": (5675, 5772, 55045),
        "de": (2371, 2208, 22230),
        "fr": (2395, 1911, 22895),
        "in": (239, 470, 2015),
        "jp": (487, 955, 4485),
        "mx": (1878, 1645, 17095),
        "uk": (4846, 3302, 44506),
    }
