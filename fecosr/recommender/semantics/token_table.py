"""A text model that is a table: a text's vector is the mean of its tokens' vectors (wordllama, model2vec).

wordllama's own `load` asks a network for what its wheel already holds; here the two files are read directly.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from fecosr.errors import ConfigError
from fecosr.recommender.semantics.embedding_files import missing_packages
from fecosr.recommender.semantics.signs import FloatArray, IntArray


class TokenTable:
    """Average the rows of a table of token vectors.

    Args:
        weights: a safetensors file with one table, [tokens, E].
        tokenizer: a tokenizer.json.
        extra: to install where the tokenizer library is missing.

    Raises:
        ConfigError: a file cannot be used, or the library is missing.
    """

    def __init__(self, weights: Path, tokenizer: Path, extra: str) -> None:
        try:
            from tokenizers import Tokenizer  # noqa: PLC0415 - an extra that need not be installed
        except ModuleNotFoundError:
            raise missing_packages(extra) from None
        self._table = _read_table(weights)  # [tokens, E]
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception:  # noqa: BLE001 - the library raises nothing more special
            raise ConfigError(
                "is no tokenizer", remedy="restore the text model", source=str(tokenizer)
            ) from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return the mean vector of every text's tokens, float32 [texts, E]; zero where there are none."""
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        vectors = np.zeros((len(texts), self._table.shape[1]), np.float32)
        for row, found in enumerate(encoded):
            # Tokens that were added to a tokenizer later may have no row; there is nothing to say of them.
            ids: IntArray = np.array(found.ids, np.int64)
            ids = ids[ids < len(self._table)]
            if ids.size:
                # Token by token in double, so that no text's vector depends on the texts beside it.
                vectors[row] = self._table[ids].sum(axis=0, dtype=np.float64) / ids.size
        return vectors


def _read_table(weights: Path) -> FloatArray:
    try:
        with safe_open(weights, framework="np") as file:
            (name,) = file.keys()
            table = file.get_tensor(name)
    except (OSError, SafetensorError, TypeError, ValueError):
        raise _unusable(weights) from None
    if table.ndim != 2 or table.dtype.kind != "f" or not table.size or not np.isfinite(table).all():
        raise _unusable(weights)
    return np.asarray(table, np.float32)


def _unusable(weights: Path) -> ConfigError:
    return ConfigError(
        "does not hold exactly one finite table of token vectors",
        remedy="restore the text model",
        source=str(weights),
    )
