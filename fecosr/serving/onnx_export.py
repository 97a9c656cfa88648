"""The scoring function of a market model as ONNX, checked against the model before it is kept."""

import contextlib
import importlib.util
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from fecosr.errors import ConfigError, StorageError
from fecosr.recommender.model import SequenceModel
from fecosr.serving.market_model import ServedModel
from fecosr.storage.atomic_files import PARTIAL_SUFFIX, sync_folder

PACKAGES: Final = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE: Final = 1e-4
"""Largest difference of a score, as a share of the largest: both sum the same products in other orders."""

_CHECKED: Final = ((1, 1), (3, 7), (5, 50))
"""Batches and lengths at which the two are compared."""


class NextItemScores(nn.Module):
    """Score the whole catalogue for a batch of histories: one graph without any table but the items'."""

    def __init__(self, model: SequenceModel, semantics: Tensor) -> None:
        super().__init__()
        self.model = model.eval()
        with torch.no_grad():
            self.register_buffer("items", model.item_inputs(semantics).detach())  # [V, D]

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        """Return the scores, [B, V], from item numbers, int64 [B, L], and lengths, int64 [B]."""
        return self.model.scores(self.get_buffer("items"), items, lengths)


def require_onnx() -> None:
    """Refuse to go on without the packages of the extra `onnx`.

    Raises:
        ConfigError: one is not installed.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"ONNX needs {', '.join(missing)}", remedy="pip install 'fecosr[onnx]'", source="--onnx"
        )


def write_onnx(served: ServedModel, path: Path) -> None:
    """Write the scoring function to `path` once ONNX Runtime computes what the model computes.

    The packages of the extra `onnx` are needed, see `require_onnx`.

    Raises:
        StorageError: the disk refused, or the exported graph computes something else.
    """
    scores = NextItemScores(served.model, served.semantics).eval()
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        _convert(scores, served.model.max_length, partial)
        _check(scores, served.model.max_length, partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


def _convert(scores: NextItemScores, max_length: int, path: Path) -> None:
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=max_length)
    example = (torch.zeros(2, 2, dtype=torch.int64), torch.tensor([2, 1]))
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            scores,
            example,
            path,
            input_names=["items", "lengths"],
            output_names=["scores"],
            dynamo=True,
            dynamic_shapes=({0: batch, 1: length}, {0: batch}),
            external_data=False,
            verbose=False,
        )


def _check(scores: NextItemScores, max_length: int, path: Path) -> None:
    import onnxruntime  # noqa: PLC0415 - an extra

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    for size, wanted_length in _CHECKED:
        length = min(wanted_length, max_length)
        items = generator.integers(len(scores.get_buffer("items")), size=(size, length))  # [B, L]
        lengths = generator.integers(1, length + 1, size=size)  # [B]
        (found,) = session.run(None, {"items": items, "lengths": lengths})
        with torch.no_grad():
            expected = scores(torch.from_numpy(items), torch.from_numpy(lengths)).numpy()
        if not np.allclose(found, expected, rtol=0, atol=TOLERANCE * float(np.abs(expected).max())):
            raise StorageError(f"{path}: the exported graph computes other scores than the model")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks about itself to itself."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
