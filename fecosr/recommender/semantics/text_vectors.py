"""From titles to vectors through a text model, block by block, so that a slow model need not start again."""

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from fecosr.errors import ConfigError
from fecosr.recommender.semantics.embedding_files import (
    TOKENIZERS,
    EmbeddingFiles,
    check_space,
    embedding_files,
)
from fecosr.recommender.semantics.sentence_model import SentenceModel
from fecosr.recommender.semantics.signs import FloatArray
from fecosr.recommender.semantics.token_table import TokenTable
from fecosr.recommender.settings import SemanticsSettings

BLOCK_TEXTS: Final = 128
"""Texts that are encoded, and kept, together: about a second of a small transformer on one core."""


class TextModel(Protocol):
    """Map texts to vectors."""

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one vector per text, float32 [texts, E]."""


class VectorCache(Protocol):
    """Keep blocks of vectors by names that say everything about what is in them."""

    def load(self, name: str) -> FloatArray | None:
        """Return the block of this name, float32 [texts, E], if it is there and whole."""

    def store(self, name: str, vectors: FloatArray) -> None:
        """Keep a block."""


def _say_nothing(done: int, total: int) -> None:
    del done, total


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingAccess:
    """Say how this machine gets at an embedding; nothing of it changes a vector.

    Attributes:
        path: the folder of the text model, or the file of given vectors, where the kind has one.
        cache: what keeps the vectors of slow models; None encodes them anew each time.
        advance: is told how many of how many texts are encoded.
    """

    path: Path | None = None
    cache: VectorCache | None = field(default=None, repr=False)
    advance: Callable[[int, int], None] = field(default=_say_nothing, repr=False)


NO_ACCESS: Final = EmbeddingAccess()


def text_vectors(texts: Sequence[str], settings: SemanticsSettings, access: EmbeddingAccess) -> FloatArray:
    """Return the text model's vector of every text, float32 [texts, E], as the model gives it.

    Raises:
        ConfigError: the model cannot be used.
        OtherSemanticSpace: it is not the one that the settings name.
    """
    files = embedding_files(settings, access.path)
    digest = files.digest()
    check_space(settings, digest)
    if _is_table(files):
        return _table(files, settings.kind).encode([readable(text) for text in texts])
    unique, place = np.unique([readable(text) for text in texts], return_inverse=True)
    return _in_blocks([str(text) for text in unique], digest, _Slow(files.root, settings.kind), access)[place]


def readable(text: str) -> str:
    """Return a text as the models are given it: one line, and not all in capitals.

    Models take a word in capitals to pieces; catalogues are full of them.
    """
    line = " ".join(unicodedata.normalize("NFKC", text).split())
    return line.lower() if line.isupper() else line


@dataclass(slots=True)
class _Slow:
    """Load a transformer when the first text needs it: where all blocks are kept, it is never loaded."""

    folder: Path
    extra: str
    _model: TextModel | None = field(default=None, init=False)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        if self._model is None:
            self._model = SentenceModel(self.folder, self.extra)
        return self._model.encode(texts)


def _in_blocks(texts: Sequence[str], digest: str, model: TextModel, access: EmbeddingAccess) -> FloatArray:
    blocks = []
    for start in range(0, len(texts), BLOCK_TEXTS):
        block = texts[start : start + BLOCK_TEXTS]
        blocks.append(_block(block, digest, model, access.cache))
        access.advance(start + len(block), len(texts))
    return np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)


def _block(texts: Sequence[str], digest: str, model: TextModel, cache: VectorCache | None) -> FloatArray:
    if cache is None:
        return _checked(model.encode(texts))
    name = _name_of(texts, digest)
    kept = cache.load(name)
    if kept is not None and len(kept) == len(texts):
        return kept
    vectors = _checked(model.encode(texts))
    cache.store(name, vectors)
    return vectors


def _checked(vectors: FloatArray) -> FloatArray:
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ConfigError("the text model gives vectors that are not finite", remedy="use another one")
    return vectors


def _name_of(texts: Sequence[str], digest: str) -> str:
    named = hashlib.sha256(f"fecosr text vectors\n{digest}\n".encode())
    for text in texts:
        encoded = text.encode(errors="replace")
        named.update(len(encoded).to_bytes(8, "big") + encoded)
    return named.hexdigest()


def _is_table(files: EmbeddingFiles) -> bool:
    """Return whether a model is a table and a tokenizer and nothing more, as wordllama and model2vec are."""
    names = {file.relative_to(files.root).as_posix() for file in files.files}
    if "modules.json" in names or sum(name.endswith(".safetensors") for name in names) != 1:
        return False
    config = files.root / "config.json"
    return not config.exists() or "model2vec" in config.read_text(encoding="utf-8", errors="replace")


def _table(files: EmbeddingFiles, extra: str) -> TokenTable:
    (weights,) = (file for file in files.files if file.suffix == ".safetensors")
    tokenizers = [file for file in files.files if file.name in TOKENIZERS]
    if len(tokenizers) != 1:
        raise ConfigError("has no tokenizer.json", remedy="complete the text model", source=str(files.root))
    return TokenTable(weights, tokenizers[0], extra)
