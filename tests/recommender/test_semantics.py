import hashlib

import numpy as np
import pytest

from fecosr.errors import MisuseError
from fecosr.recommender.semantics import (
    SOURCE_IDENTIFIERS,
    SOURCE_TITLES,
    catalogue_semantics,
    identifier_semantics,
    item_semantics,
    semantic_neighbours,
)
from fecosr.recommender.settings import SemanticsSettings

SETTINGS = SemanticsSettings(dimension=512, buckets=4096, seed=3)
TITLES = ["red cotton shirt", "blue cotton shirt", "usb charging cable", "RED  cotton\tshirt"]


def test_vectors_have_length_one_and_similar_texts_similar_vectors() -> None:
    vectors = item_semantics(TITLES, SETTINGS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, 512)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.5
    assert abs(cosines[0, 2]) < 0.2


def test_case_width_and_spacing_do_not_matter() -> None:
    vectors = item_semantics([*TITLES, "\uff52\uff45\uff44 cotton shirt"], SETTINGS)
    np.testing.assert_array_equal(vectors[0], vectors[3])
    np.testing.assert_array_equal(vectors[0], vectors[4])


def test_an_items_vector_does_not_depend_on_the_rest_of_the_catalogue() -> None:
    np.testing.assert_array_equal(
        item_semantics(TITLES[1:2], SETTINGS)[0], item_semantics(TITLES, SETTINGS)[1]
    )


def test_the_function_is_pinned() -> None:
    """Markets on different versions must agree: a change of this hash is a change of the semantic space."""
    settings = SemanticsSettings(dimension=64, buckets=256, seed=0)
    vectors = np.concatenate([item_semantics(TITLES, settings), identifier_semantics(["B000"], settings)])
    signs = hashlib.sha256((vectors > 0).tobytes()).hexdigest()
    assert signs == "9bf5194774b471ff15ee570a1a17f6ddbfd2b69f3f7c1f0495558e58168fb110"


def test_another_seed_gives_an_unrelated_space() -> None:
    other = item_semantics(TITLES, SemanticsSettings(dimension=512, buckets=4096, seed=4))
    assert abs(float(other[0] @ item_semantics(TITLES, SETTINGS)[0])) < 0.2


@pytest.mark.parametrize("text", ["", "   ", "\t\n"])
def test_a_blank_text_has_no_direction(text: str) -> None:
    assert not item_semantics([text], SETTINGS).any()


def test_a_text_shorter_than_every_ngram_still_has_a_vector() -> None:
    settings = SemanticsSettings(dimension=64, ngram_min=5, ngram_max=6)
    assert item_semantics(["x"], settings).any()


def test_different_ids_are_nearly_orthogonal_and_equal_ids_agree() -> None:
    ids = [f"B00{number:05d}" for number in range(200)]
    vectors = identifier_semantics(ids, SETTINGS)
    cosines = vectors @ vectors.T
    off_diagonal = cosines[~np.eye(200, dtype=bool)]
    assert abs(off_diagonal).max() < 6 / np.sqrt(512)
    np.testing.assert_array_equal(identifier_semantics(ids[7:8], SETTINGS)[0], vectors[7])


def test_a_catalogue_says_what_its_semantics_were_made_from() -> None:
    ids = ["a", "b", "c", "d"]
    titled = catalogue_semantics(ids, TITLES, SETTINGS)
    assert titled.source == SOURCE_TITLES
    np.testing.assert_array_equal(titled.vectors, item_semantics(TITLES, SETTINGS))
    untitled = catalogue_semantics(ids, None, SETTINGS)
    assert untitled.source == SOURCE_IDENTIFIERS
    np.testing.assert_array_equal(untitled.vectors, identifier_semantics(ids, SETTINGS))


def test_an_item_without_a_title_among_titled_ones_takes_its_id() -> None:
    vectors = catalogue_semantics(["a", "b"], ["red shirt", " "], SETTINGS).vectors
    np.testing.assert_array_equal(vectors[1], identifier_semantics(["b"], SETTINGS)[0])


def test_too_few_titles_are_refused() -> None:
    with pytest.raises(MisuseError, match="titles"):
        catalogue_semantics(["a", "b"], ["red shirt"], SETTINGS)


def test_neighbours_agree_with_sorting_all_cosines() -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = semantic_neighbours(vectors, 5)
    for item in range(40):
        cosines = vectors @ vectors[item]
        expected = sorted(range(40), key=lambda other: (other != item, -cosines[other]))[:5]
        assert found.items[item].tolist() == expected
        np.testing.assert_allclose(found.cosines[item], cosines[expected], atol=1e-6)


def test_the_item_itself_is_first_even_among_twins() -> None:
    found = semantic_neighbours(item_semantics(TITLES, SETTINGS), 3)
    assert found.items[:, 0].tolist() == [0, 1, 2, 3]
    assert found.items[0].tolist() == [0, 3, 1]
    assert found.items[3].tolist() == [3, 0, 1]
    assert (found.cosines[:, 0] == 1.0).all()


def test_a_small_catalogue_is_returned_whole() -> None:
    found = semantic_neighbours(item_semantics(TITLES, SETTINGS), 16)
    assert found.items.shape == (4, 4)


def test_ids_can_be_all_there_is_even_where_there_are_titles() -> None:
    settings = SemanticsSettings(kind="item_ids", dimension=512, seed=3)
    found = catalogue_semantics(["a", "b"], ["red shirt", "red shirts"], settings)
    assert found.source == SOURCE_IDENTIFIERS
    np.testing.assert_array_equal(found.vectors, catalogue_semantics(["a", "b"], None, settings).vectors)
