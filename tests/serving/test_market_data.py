from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from fecosr.data.interactions import read_interactions
from fecosr.data.sequences import MarketSequences
from fecosr.data.settings import DataSettings
from fecosr.errors import ConfigError, DataError
from fecosr.serving.export import facts_to_hand_on
from fecosr.serving.market_data import data_settings, fingerprint, lasting_settings, read_numbered
from fecosr.serving.market_model import ServedModel
from tests.reference.trained_market import DATA


def test_a_fingerprint_knows_users_items_and_order(market: MarketSequences) -> None:
    first = market.sequences[0]
    others = [
        replace(market, user_ids=("somebody else", *market.user_ids[1:])),
        replace(market, sequences=(first[::-1], *market.sequences[1:])),
        replace(market, sequences=(first[:-1], *market.sequences[1:])),
        replace(market, sequences=(*market.sequences[1:], first)),
    ]
    prints = {fingerprint(market), *map(fingerprint, others)}
    assert len(prints) == 5
    assert fingerprint(replace(market, market="renamed")) == fingerprint(market)


def test_a_path_means_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert lasting_settings(DataSettings(kind="csv", path="fr.csv")).path == str(tmp_path / "fr.csv")
    assert lasting_settings(DATA) == DATA


def test_the_model_knows_where_its_data_are(served: ServedModel) -> None:
    assert data_settings(served.facts, None) == DATA


def test_a_copy_that_was_handed_on_does_not(served: ServedModel) -> None:
    facts = facts_to_hand_on(served.facts)
    with pytest.raises(ConfigError, match="does not say where the market's data are"):
        data_settings(facts, None)
    given = data_settings(facts, Path("/data/fr.parquet"))
    assert (given.kind, given.path, given.market) == ("parquet", "/data/fr.parquet", "isle")
    with pytest.raises(ConfigError, match="its format is not known"):
        data_settings(facts, Path("/data/fr.xlsx"))


def test_data_that_moved_are_read_as_before(served: ServedModel) -> None:
    known = DataSettings(kind="csv", path="/old/fr.csv", separator=";", min_core=3)
    data = served.facts.data.model_copy(update={"settings": known})
    facts = served.facts.model_copy(update={"data": data})
    assert data_settings(facts, Path("/new/fr.txt")) == replace(known, path="/new/fr.txt")


def test_the_data_of_the_training_are_recognised(served: ServedModel, market: MarketSequences) -> None:
    numbered = read_numbered(DATA, served.facts, served.catalogue.items)
    assert numbered.same_as_trained is True
    assert numbered.unknown_interactions == 0
    assert fingerprint(numbered.sequences) == fingerprint(market)


def test_grown_data_are_numbered_as_the_model_numbers_items(
    served: ServedModel, market: MarketSequences, tmp_path: Path
) -> None:
    frame = read_interactions(DATA)
    last = int(frame["timestamp"].max()) + 1  # type: ignore[arg-type]
    more = pl.DataFrame({"user": ["zoe", "zoe", "amy"], "item": ["aaa", "bbb", market.catalogue.item_ids[5]]})
    grown = pl.concat(
        [
            frame.select("user", "item", "timestamp"),
            more.with_columns(pl.lit(last, pl.Int64).alias("timestamp")),
        ]
    )
    grown.write_parquet(tmp_path / "isle.parquet")
    settings = DataSettings(kind="parquet", path=str(tmp_path / "isle.parquet"), market="isle", min_core=1)
    numbered = read_numbered(settings, served.facts, served.catalogue.items)
    assert numbered.same_as_trained is False
    assert numbered.unknown_interactions == 2
    by_user = dict(zip(numbered.sequences.user_ids, numbered.sequences.sequences, strict=True))
    assert by_user.keys() == {*market.user_ids, "amy"}
    assert by_user["amy"].tolist() == [5]
    for user, sequence in zip(market.user_ids, market.sequences, strict=True):
        assert by_user[user].tolist() == sequence.tolist()


def test_the_data_of_another_market_are_refused(served: ServedModel) -> None:
    other = replace(DATA, market="elsewhere")
    with pytest.raises(DataError, match="none of the items is in the catalogue of the model"):
        read_numbered(other, served.facts, served.catalogue.items)
