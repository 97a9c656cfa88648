"""From titles to vectors: tables of tokens really, a transformer stood in for, and what is kept of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file

from fecosr.errors import ConfigError, DataError, OtherSemanticSpace
from fecosr.recommender.semantics import (
    SOURCE_TITLES,
    EmbeddingAccess,
    catalogue_semantics,
    embedding_dimension,
    identifier_semantics,
    item_semantics,
    pinned,
    text_vectors,
)
from fecosr.recommender.semantics.embedding_files import embedding_files
from fecosr.recommender.semantics.text_vectors import BLOCK_TEXTS, readable
from fecosr.recommender.settings import SemanticsSettings
from tests.reference.token_folder import WORDS, word_vectors, write_token_folder

FOLDER = SemanticsSettings(kind="folder", dimension=16)
TITLES = ["red cotton shirt", "blue cotton shirt", "usb charging cable"]


class Kept:
    """Keep blocks in memory, and remember what happens."""

    def __init__(self) -> None:
        self.blocks: dict[str, npt.NDArray[np.float32]] = {}

    def load(self, name: str) -> npt.NDArray[np.float32] | None:
        return self.blocks.get(name)

    def store(self, name: str, vectors: npt.NDArray[np.float32]) -> None:
        self.blocks[name] = vectors


class Encoder:
    """Stand in for a transformer: count texts, and die when told to."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.texts: list[str] = []
        self.dies_after = dies_after

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if self.dies_after is not None and len(self.texts) >= self.dies_after:
            raise KeyboardInterrupt
        self.texts += texts
        return np.array([[len(text), ord(text[-1]), 1.0] for text in texts], np.float32)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Encoder]:
    """A folder whose transformer is stood in for."""
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "modules.json").write_text("[]")
    save_file({"weight": np.ones(3, np.float32)}, folder / "model.safetensors")
    encoder = Encoder()
    monkeypatch.setattr(text_vectors, "SentenceModel", lambda *_: encoder)
    return folder, encoder


def test_a_text_is_the_mean_of_its_tokens(tmp_path: Path) -> None:
    folder = write_token_folder(tmp_path / "table")
    found = catalogue_semantics(list("abc"), TITLES, pinned(FOLDER, folder), access=EmbeddingAccess(folder))
    assert found.source == SOURCE_TITLES
    vectors = word_vectors()
    expected = np.array([sum(vectors[1 + WORDS.index(word)] for word in title.split()) for title in TITLES])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found.vectors, expected, rtol=1e-5)
    assert embedding_dimension(FOLDER, EmbeddingAccess(folder)) == 16


def test_a_blank_title_takes_the_vector_of_its_id(tmp_path: Path) -> None:
    access = EmbeddingAccess(write_token_folder(tmp_path / "table"))
    vectors = catalogue_semantics(["a", "b"], ["red lamp", " "], FOLDER, access=access).vectors
    np.testing.assert_array_equal(vectors[1], identifier_semantics(["b"], FOLDER)[0])


def test_items_without_titles_are_refused(tmp_path: Path) -> None:
    access = EmbeddingAccess(write_token_folder(tmp_path / "table"))
    with pytest.raises(DataError, match=r"have no titles.*'hashed_ngrams' or 'behaviour'"):
        catalogue_semantics(["a"], None, FOLDER, access=access)


def test_a_market_with_other_weights_refuses_to_mix_spaces(tmp_path: Path) -> None:
    agreed = pinned(FOLDER, write_token_folder(tmp_path / "one"))
    access = EmbeddingAccess(write_token_folder(tmp_path / "other", seed=1))
    with pytest.raises(OtherSemanticSpace, match=r"the markets agreed on.*the files on this machine"):
        catalogue_semantics(["a"], ["red lamp"], agreed, access=access)


def test_ngrams_can_stand_beside_a_text_model(tmp_path: Path) -> None:
    access = EmbeddingAccess(write_token_folder(tmp_path / "table"))
    mixed = replace(FOLDER, dimension=128, ngram_share=0.5, buckets=1024)
    cosines = (found := catalogue_semantics(list("abc"), TITLES, mixed, access=access).vectors) @ found.T
    ngrams = item_semantics(TITLES, replace(mixed, dimension=64))
    text = catalogue_semantics(
        list("abc"), TITLES, replace(mixed, dimension=64, ngram_share=0.0), access=access
    ).vectors
    np.testing.assert_allclose(cosines, (ngrams @ ngrams.T + text @ text.T) / 2, atol=1e-5)


@pytest.mark.parametrize(
    "tensors",
    [
        {"one": np.ones((2, 8), np.float32), "two": np.ones((2, 8), np.float32)},
        {"row": np.ones(8, np.float32)},
        {"nan": np.full((2, 8), np.nan, np.float32)},
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, tensors: dict[str, npt.NDArray[np.float32]]) -> None:
    folder = write_token_folder(tmp_path / "table", tensors=tensors)
    with pytest.raises(ConfigError, match="exactly one finite table"):
        catalogue_semantics(["a"], ["red"], FOLDER, access=EmbeddingAccess(folder))


def test_a_tokenizer_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = write_token_folder(tmp_path / "table")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"tokenizer\.json: is no tokenizer"):
        catalogue_semantics(["a"], ["red"], FOLDER, access=EmbeddingAccess(folder))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"has no tokenizer\.json"):
        catalogue_semantics(["a"], ["red"], FOLDER, access=EmbeddingAccess(folder))


@pytest.mark.parametrize(
    ("text", "read"),
    [("WHITE  T-LIGHT\tHOLDER", "white t-light holder"), ("Apple TV", "Apple TV"), (" ", "")],
)
def test_capitals_are_lowered_where_there_is_nothing_else(text: str, read: str) -> None:
    assert readable(text) == read


def test_a_slow_model_goes_on_where_it_stopped(slow: tuple[Path, Encoder]) -> None:
    folder, encoder = slow
    titles = [f"title {number}" for number in range(2 * BLOCK_TEXTS + 5)] + ["title 3"]
    ids = [str(number) for number in range(len(titles))]
    kept, seen = Kept(), list[tuple[int, int]]()
    access = EmbeddingAccess(folder, kept, lambda done, total: seen.append((done, total)))
    encoder.dies_after = BLOCK_TEXTS
    with pytest.raises(KeyboardInterrupt):
        catalogue_semantics(ids, titles, FOLDER, access=access)
    encoder.dies_after = None
    first = catalogue_semantics(ids, titles, FOLDER, access=access).vectors
    assert sorted(encoder.texts) == sorted(set(titles))
    assert seen[-1] == (len(titles) - 1, len(titles) - 1)
    again = catalogue_semantics(ids, titles, FOLDER, access=access).vectors
    assert len(encoder.texts) == len(set(titles))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[3], first[-1])
    np.testing.assert_array_equal(
        first, catalogue_semantics(ids, titles, FOLDER, access=EmbeddingAccess(folder)).vectors
    )


def test_other_weights_do_not_find_what_was_kept(slow: tuple[Path, Encoder]) -> None:
    folder, encoder = slow
    kept = Kept()
    catalogue_semantics(["a"], ["red"], FOLDER, access=EmbeddingAccess(folder, kept))
    save_file({"weight": np.zeros(3, np.float32)}, folder / "model.safetensors")
    catalogue_semantics(["a"], ["red"], FOLDER, access=EmbeddingAccess(folder, kept))
    assert encoder.texts == ["red", "red"]
    assert len(kept.blocks) == 2


def test_a_damaged_block_is_made_anew(slow: tuple[Path, Encoder]) -> None:
    folder, encoder = slow
    kept = Kept()
    whole = catalogue_semantics(["a"], ["red"], FOLDER, access=EmbeddingAccess(folder, kept)).vectors
    kept.blocks = {name: block[:0] for name, block in kept.blocks.items()}
    again = catalogue_semantics(["a"], ["red"], FOLDER, access=EmbeddingAccess(folder, kept)).vectors
    np.testing.assert_array_equal(again, whole)
    assert len(encoder.texts) == 2


def test_a_model_whose_vectors_are_not_finite_is_refused(
    slow: tuple[Path, Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, encoder = slow
    monkeypatch.setattr(encoder, "encode", lambda texts: np.full((len(texts), 3), np.nan, np.float32))
    with pytest.raises(ConfigError, match="not finite"):
        catalogue_semantics(["a"], ["red"], FOLDER, access=EmbeddingAccess(folder))


def test_wordllama_knows_what_is_alike_without_a_letter_in_common() -> None:
    pytest.importorskip("wordllama", reason="needs pip install 'fecosr[wordllama]'")
    settings = pinned(SemanticsSettings(kind="wordllama"), None)
    assert settings.embedding == "wordllama l2_supercat_256"
    # The hash is of the release that constraints.txt names: another one is another space.
    assert settings.embedding_hash == "93ccb5ab12f304b55d201997cee525da25d07dcb64a0724752897e3cf20b1638"
    titles = ["GREEN CHRISTMAS TREE CANDLE", "xmas wax light", "usb charging cable", "usb CHARGING cable"]
    vectors = catalogue_semantics(list("abcd"), titles, settings).vectors
    cosines = vectors @ vectors.T
    ngrams = item_semantics(titles, SemanticsSettings())
    assert cosines[0, 1] > cosines[0, 2] + 0.2
    assert abs(float(ngrams[0] @ ngrams[1])) < 0.2
    assert cosines[2, 3] > 0.5
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    # A text's vector is its own, to the bit, whatever stands beside it.
    alone = catalogue_semantics(["c"], titles[2:3], settings).vectors
    np.testing.assert_array_equal(alone[0], vectors[2])


def test_wordllama_agrees_with_its_own_library() -> None:
    pytest.importorskip("wordllama", reason="needs pip install 'fecosr[wordllama]'")
    from tokenizers import Tokenizer

    files = embedding_files(SemanticsSettings(kind="wordllama"), None)
    tokenizer_file, weights_file = files.files
    inference = pytest.importorskip("wordllama.inference").WordLlamaInference
    table = pytest.importorskip("safetensors.numpy").load_file(weights_file)["embedding.weight"]
    theirs = inference(table, Tokenizer.from_file(str(tokenizer_file))).embed(TITLES, norm=True)
    ours = catalogue_semantics(list("abc"), TITLES, SemanticsSettings(kind="wordllama")).vectors
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
