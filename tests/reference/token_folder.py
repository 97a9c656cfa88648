"""A text model as small as one can be: ten words, a vector for each, in the layout of model2vec."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file

WORDS = ("red", "blue", "cotton", "shirt", "usb", "charging", "cable", "green", "tent", "lamp")


def word_vectors(dimension: int = 16, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return the vector of every word, and of an unknown one in front."""
    drawn = np.random.default_rng(seed).normal(size=(len(WORDS) + 1, dimension))
    return drawn.astype(np.float32)


def write_token_folder(
    folder: Path, *, seed: int = 0, tensors: Mapping[str, npt.NDArray[np.float32]] | None = None
) -> Path:
    """Write the model; skip the test where the tokenizer library is not installed."""
    tokenizers = pytest.importorskip("tokenizers", reason="needs pip install 'fecosr[wordllama]'")
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: number for number, word in enumerate(("[UNK]", *WORDS))}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(dict(tensors or {"embeddings": word_vectors(seed=seed)}), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec"}))
    return folder
