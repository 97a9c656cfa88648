"""Items that came after the training are found by what their titles say."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from fecosr.data.sequences import MarketSequences
from fecosr.errors import ConfigError, DataError, OtherSemanticSpace
from fecosr.recommender.semantics import EmbeddingAccess
from fecosr.recommender.semantics.behaviour import sketch_of
from fecosr.recommender.settings import SemanticsSettings
from fecosr.serving.evaluation import scorer_of
from fecosr.serving.market_model import ServedModel
from fecosr.serving.model_card import model_card
from fecosr.serving.new_items import read_new_items, with_new_items
from fecosr.storage.parameters import write_parameters
from fecosr.training.sketch import sketch_of_market
from tests.reference.token_folder import write_token_folder
from tests.reference.trained_market import trained_model

HISTORIES = [np.array([3, 1, 4], np.int32), np.array([15], np.int32)]


def test_a_new_item_scores_as_an_untouched_item_with_its_title_would(served: ServedModel) -> None:
    """The twin of a known item, under an id that sorts in front, gets its score less the local embedding."""
    known = served.catalogue.items
    assert known.titles is not None
    larger, num_known = with_new_items(served, {"AAA": known.titles[7], "zzz": "something else"})
    assert num_known == 0
    assert larger.catalogue.items.item_ids == ("AAA", *known.item_ids, "zzz")
    assert larger.catalogue.in_training.tolist() == [False, *served.catalogue.in_training.tolist(), False]
    assert torch.equal(larger.semantics[0], served.semantics[7])
    with torch.no_grad():
        inputs = larger.model.item_inputs(larger.semantics)
        adapter = served.model.adapter
        local = adapter.gate * adapter.local_items[7]
        known_inputs = served.model.item_inputs(served.semantics)
    assert local.abs().sum() > 0
    torch.testing.assert_close(inputs[0] + local, known_inputs[7])
    torch.testing.assert_close(inputs[1:-1], known_inputs)


def test_known_items_keep_their_scores(served: ServedModel) -> None:
    larger, _ = with_new_items(served, {"AAA": "a thing"})
    shifted = [history + 1 for history in HISTORIES]
    np.testing.assert_allclose(
        scorer_of(larger)(shifted)[:, 1:], scorer_of(served)(HISTORIES), rtol=1e-5, atol=1e-6
    )


def test_items_of_the_catalogue_are_no_new_items(served: ServedModel, market: MarketSequences) -> None:
    same, num_known = with_new_items(served, {market.catalogue.item_ids[0]: "renamed"})
    assert same is served
    assert num_known == 1


def test_where_ids_stand_in_for_text_a_title_says_nothing(untitled: ServedModel) -> None:
    with pytest.raises(ConfigError, match=r"cannot be scored.*made from item ids \(no text"):
        with_new_items(untitled, {"AAA": "a thing"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item,name\na,b\n", "no column title"),
        ("item,title\na,\n", "items.csv:2: column title is empty"),
        ("item,title\na,x\na,y\n", "items.csv:2: an item stands here more than once"),
        ("item,title\n", "holds no item"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "items.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_new_items(path)


def test_a_file_of_new_items_is_read(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text('item,title\n7,"Tent, green"\n')
    assert read_new_items(path) == {"7": "Tent, green"}


def test_a_text_model_must_be_the_one_of_the_training(market: MarketSequences, tmp_path: Path) -> None:
    model = EmbeddingAccess(write_token_folder(tmp_path / "tiny"))
    served = trained_model(market, SemanticsSettings(kind="folder", dimension=16), model)
    assert served.facts.semantics.embedding == "tiny"
    assert f"made from titles by tiny (embedding `{served.facts.semantics.embedding_hash}`)" in model_card(
        served, with_onnx=False
    )
    larger, _ = with_new_items(served, {"AAA": "red tent"}, model)
    assert larger.semantics.shape == (len(served.catalogue.items) + 1, 16)
    with pytest.raises(ConfigError, match="nobody said where the folder"):
        with_new_items(served, {"AAA": "red tent"})
    other = EmbeddingAccess(write_token_folder(tmp_path / "other", seed=1))
    with pytest.raises(OtherSemanticSpace):
        with_new_items(served, {"AAA": "red tent"}, other)


def test_a_new_item_needs_a_vector_where_vectors_were_given(market: MarketSequences, tmp_path: Path) -> None:
    path = tmp_path / "vectors.parquet"
    ids, stated = (*market.catalogue.item_ids, "AAA"), {"embedding_hash": "ab" * 32}
    rows = np.random.default_rng(0).normal(size=(len(ids), 8)).tolist()
    pl.DataFrame({"item": ids, "vector": rows}).write_parquet(path, metadata=stated)
    given = EmbeddingAccess(path)
    served = trained_model(market, SemanticsSettings(kind="vectors", dimension=8), given)
    assert not served.facts.semantics.has_text
    assert served.catalogue.meaningful(served.facts.semantics).all()
    assert "scored by their given vectors alone" in model_card(served, with_onnx=False)
    larger, _ = with_new_items(served, {"AAA": "a thing"}, given)
    expected = np.array(rows[-1]) / np.linalg.norm(rows[-1])
    np.testing.assert_allclose(larger.semantics[0].numpy(), expected, rtol=1e-5)
    with pytest.raises(DataError, match="no vector for item 'BBB'"):
        with_new_items(served, {"BBB": "a thing"}, given)


def test_an_item_that_another_market_sells_is_known_by_its_users(
    market: MarketSequences, tmp_path: Path
) -> None:
    settings = SemanticsSettings(kind="behaviour", dimension=32, sketch_buckets=4096)
    ids = market.catalogue.item_ids
    elsewhere = [np.array([0, 1, 2], np.int32)] * 3
    total = sketch_of_market(market, settings) + sketch_of(elsewhere, (ids[3], ids[8], "AAA"), settings)
    served = trained_model(market, settings, sketches=total)
    assert "where users of some market have them" in model_card(served, with_onnx=False)
    path = tmp_path / "sum.safetensors"
    write_parameters(path, total, {})

    larger, _ = with_new_items(served, {"AAA": "a thing", "BBB": "another"}, EmbeddingAccess(path))
    place = {item: number for number, item in enumerate(larger.catalogue.items.item_ids)}
    assert (larger.meaningful()[place["AAA"]], larger.meaningful()[place["BBB"]]) == (True, False)
    of_new = larger.semantics[place["AAA"]]
    related = float(of_new @ larger.semantics[place[ids[3]]])
    others = torch.stack([larger.semantics[place[item]] for item in ids if item not in {ids[3], ids[8]}])
    assert related > float((others @ of_new).mean()) + 0.1

    write_parameters(path, total + np.float32(1), {})
    with pytest.raises(OtherSemanticSpace, match="another sum of sketches"):
        with_new_items(served, {"AAA": "a thing"}, EmbeddingAccess(path))
    with pytest.raises(ConfigError, match="without the sum of sketches"):
        with_new_items(served, {"AAA": "a thing"})
    path.write_bytes(b"no such thing")
    with pytest.raises(ConfigError, match="not a whole safetensors file"):
        with_new_items(served, {"AAA": "a thing"}, EmbeddingAccess(path))
