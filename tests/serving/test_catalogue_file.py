from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fecosr.data.catalogue import Catalogue
from fecosr.errors import ConfigError, MisuseError
from fecosr.serving.catalogue_file import ServedCatalogue, catalogue_bytes, parse_catalogue
from fecosr.serving.facts import SemanticsFacts

PATH = Path("catalogue.parquet")
TITLED = ServedCatalogue(Catalogue(("a", "b", "c"), ("Äpfel", "", "pears")), np.array([True, False, False]))


def made_of(kind: str, *, has_text: bool) -> SemanticsFacts:
    return SemanticsFacts(kind=kind, source="something", has_text=has_text, vectors_hash="ab" * 32)


def test_a_catalogue_comes_back() -> None:
    back = parse_catalogue(catalogue_bytes(TITLED), PATH)
    assert back.items == TITLED.items
    assert back.in_training.tolist() == [True, False, False]


def test_no_titles_come_back_as_none() -> None:
    untitled = ServedCatalogue(Catalogue(("a",)), np.array([True]))
    assert parse_catalogue(catalogue_bytes(untitled), PATH).items.titles is None


def test_a_cold_item_means_something_only_with_a_text_that_was_read() -> None:
    assert TITLED.meaningful(made_of("hashed_ngrams", has_text=True)).tolist() == [True, False, True]
    assert TITLED.meaningful(made_of("item_ids", has_text=False)).tolist() == [True, False, False]


def test_a_cold_item_with_a_given_vector_means_something() -> None:
    assert TITLED.meaningful(made_of("vectors", has_text=False)).all()


def test_a_mask_of_another_length_is_misuse() -> None:
    with pytest.raises(MisuseError):
        ServedCatalogue(TITLED.items, np.array([True]))


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pl.DataFrame({"item": ["a"]}), "does not have exactly the columns item, title, in_training"),
        (
            pl.DataFrame({"item": ["b", "a"], "title": ["x", "y"], "in_training": [True, True]}),
            "must be strictly ascending",
        ),
        (
            pl.DataFrame({"item": ["a", "b"], "title": ["x", None], "in_training": [True, True]}),
            "has titles in some rows only",
        ),
        (
            pl.DataFrame({"item": ["a", None], "title": ["x", "y"], "in_training": [True, True]}),
            "has rows without an item",
        ),
    ],
)
def test_a_table_that_is_no_catalogue_is_refused(frame: pl.DataFrame, said: str, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.parquet"
    frame.write_parquet(path)
    with pytest.raises(ConfigError, match=said):
        parse_catalogue(path.read_bytes(), path)
