"""Which markets there are, in which variants, and what their digest depends on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fecosr.data.catalogue import Catalogue
from fecosr.data.markets import NamedSettings
from fecosr.data.sequences import MarketSequences
from fecosr.data.settings import ColumnNames, DataSettings
from fecosr.errors import ConfigError, DataError
from fecosr.harness.compare.variants import digest_of_data, load_variant, markets_of, variants_named

HEADER = "userId itemId rate date\n"


def review(user: str, item: str, day: int) -> str:
    return f"{user} {item} 5.0 2020-01-{day:02d}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two markets; in each, items `a1` and `a2` are reviewed together by five users who also have others."""
    for market in ("xx", "yy"):
        lines = [
            review(f"{market}{user}", item, day)
            for user in range(5)
            for day, item in ((1, "a1"), (1, "a2"), (2, "b"), (3, "c"), (4, "d"))
        ]
        (tmp_path / f"{market}_5core.txt").write_text(HEADER + "".join(lines))
    return tmp_path


def test_without_a_folder_there_are_the_generated_markets() -> None:
    markets = markets_of(None)
    assert [name for name, _ in markets] == ["north", "south", "east", "west", "isle"]
    assert variants_named([], markets) == ("raw",)


def test_variants_are_what_the_data_allow(folder: Path) -> None:
    markets = markets_of(folder)
    assert variants_named([], markets) == ("raw", "merged")
    assert variants_named(["merged"], markets) == ("merged",)
    assert variants_named(["merged", "raw"], markets) == ("raw", "merged")
    rated = ColumnNames(rating="stars")
    named: NamedSettings = (("a", DataSettings(kind="csv", path="a.csv", columns=rated)),)
    assert variants_named([], named) == ("raw", "merged")


def test_merging_leaves_one_item_of_a_family(folder: Path) -> None:
    markets = markets_of(folder)
    raw, merged = load_variant(markets, "raw")["xx"], load_variant(markets, "merged")["xx"]
    assert raw.catalogue.item_ids == ("a1", "a2", "b", "c", "d")
    assert merged.catalogue.item_ids == ("a1", "b", "c", "d")
    assert [len(sequence) for sequence in merged.sequences] == [4] * 5


def test_merged_data_are_filtered_again(folder: Path) -> None:
    path = folder / "xx_5core.txt"
    path.write_text(path.read_text() + review("xx0", "rare", 9))
    assert "rare" in load_variant(markets_of(folder), "raw")["xx"].catalogue.item_ids
    assert "rare" not in load_variant(markets_of(folder), "merged")["xx"].catalogue.item_ids


def test_unknown_and_impossible_variants_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"no variant 'cooked' \(choose from raw, merged\)"):
        variants_named(["raw", "cooked"], markets_of(folder))
    with pytest.raises(ConfigError, match="no stars"):
        variants_named(["merged"], markets_of(None))


def test_a_market_without_anybody_to_evaluate_is_refused(folder: Path) -> None:
    rows = review("u1", "a", 1) + review("u1", "b", 2) + review("u2", "a", 1)
    (folder / "yy_5core.txt").write_text(HEADER + rows)
    with pytest.raises(DataError, match="no user of market yy has 3 interactions"):
        load_variant(markets_of(folder), "raw")


def test_one_market_is_not_compared(folder: Path) -> None:
    (folder / "yy_5core.txt").unlink()
    with pytest.raises(DataError, match="one market only"):
        markets_of(folder)


def test_a_folder_without_markets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no market"):
        markets_of(tmp_path)


def market(**changes: object) -> MarketSequences:
    plain = MarketSequences(
        market="m",
        catalogue=Catalogue(("a", "b"), ("red", "blue")),
        user_ids=("u", "v"),
        sequences=(np.array([0, 1], np.int32), np.array([1], np.int32)),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_digest_depends_on_all_that_is_read() -> None:
    digests = {
        digest_of_data({"m": changed})
        for changed in (
            market(),
            market(catalogue=Catalogue(("a", "c"), ("red", "blue"))),
            market(catalogue=Catalogue(("a", "b"), ("red", "green"))),
            market(catalogue=Catalogue(("a", "b"))),
            market(sequences=(np.array([0], np.int32), np.array([1, 1], np.int32))),
            market(sequences=(np.array([1, 0], np.int32), np.array([1], np.int32))),
        )
    }
    digests.add(digest_of_data({"n": market()}))
    assert len(digests) == 7
    assert digest_of_data({"m": market()}) in digests
    assert digest_of_data({"a": market(), "b": market()}) == digest_of_data({"b": market(), "a": market()})


GENERATED = """
[markets.first]
kind = "synthetic"
min_core = 1
synthetic = { seed = 3, num_users = 30, num_items = 90 }
"""


def test_markets_may_be_described_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "second.csv").write_text("user,item,timestamp\nu,a,1\nu,b,2\nu,c,3\n")
    file = tmp_path / "markets.toml"
    file.write_text(GENERATED + '[markets.second]\nkind = "csv"\npath = "second.csv"\nmin_core = 1\n')
    assert [name for name, _ in markets_of(file)] == ["first", "second"]
    loaded = load_variant(markets_of(file), "raw")
    assert len(loaded["first"].sequences) == 30
    assert loaded["second"].catalogue.item_ids == ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (GENERATED, "at least 2"),
        (GENERATED + '[markets.second]\nkind = "csv"\n', "markets.second: path must name"),
        (GENERATED + '[markets."no name"]\nkind = "synthetic"\n', "markets: "),
        ("markets = 3\n", "markets: "),
        ("", "markets: is missing"),
    ],
)
def test_a_description_that_says_too_little_is_refused(text: str, wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "markets.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=wrong):
        markets_of(file)
