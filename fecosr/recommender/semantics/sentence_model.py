"""A text model that is a transformer, in the layout of sentence-transformers or of transformers.

Loaded from a folder, offline, from safetensors, without running code that a folder brings along.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from fecosr.errors import ConfigError
from fecosr.recommender.semantics.embedding_files import missing_packages
from fecosr.recommender.semantics.signs import FloatArray

_PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_MODULES: Final = "modules.json"
_LIBRARY: Final = "sentence_transformers."
_KNOWN: Final = ("Transformer", "Pooling", "Normalize", "Dense", "LayerNorm", "StaticEmbedding")
_BATCH: Final = 32


class SentenceModel:
    """Encode texts with a transformer in float32 on the processor.

    Two machines agree up to the rounding of their arithmetic.

    Args:
        folder: of the model.
        extra: to install where the library is missing.

    Raises:
        ConfigError: the folder cannot be used, or the library is missing.
    """

    def __init__(self, folder: Path, extra: str) -> None:
        _refuse_code_and_pickles(folder)
        # Read when the library is imported: nothing may ask a network, not even whether there is news.
        os.environ["HF_HUB_OFFLINE"] = "1"
        try:
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - an extra
            from transformers.utils import logging  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            raise missing_packages(extra) from None
        logging.disable_progress_bar()
        try:
            self._model = SentenceTransformer(
                str(folder),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            ).float()
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError) as error:
            first = str(error).strip().splitlines() or [type(error).__name__]
            raise _unusable(f"cannot be loaded: {first[0]}", folder) from None

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one vector per text, float32 [texts, E]."""
        vectors = self._model.encode(
            list(texts), batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(vectors, np.float32)


def _refuse_code_and_pickles(folder: Path) -> None:
    """Refuse what could run code of the folder's author.

    Raises:
        ConfigError: says what.
    """
    for file in sorted(folder.rglob("*")):
        if file.suffix in _PICKLES and not any(file.parent.glob("*.safetensors")):
            raise _unusable(f"{file.name} is pickled, and only safetensors are read", folder)
    for module in _modules(folder):
        kind = str(module.get("type", "")) if isinstance(module, dict) else ""
        if not kind.startswith(_LIBRARY) or kind.rpartition(".")[2] not in _KNOWN:
            raise _unusable(f"{_MODULES} asks for {kind or 'something'}, which is none of {_KNOWN}", folder)


def _modules(folder: Path) -> list[Any]:
    file = folder / _MODULES
    if not file.exists():
        return []
    try:
        modules = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _unusable(f"{_MODULES} is no JSON", folder) from None
    return modules if isinstance(modules, list) else [modules]


def _unusable(message: str, folder: Path) -> ConfigError:
    return ConfigError(message, remedy="use a folder saved as safetensors", source=str(folder))
