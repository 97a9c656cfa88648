"""A copy of a market model to hand on: numbers, catalogue and settings, but not where the data are."""

import os
import shutil
from pathlib import Path
from typing import Final

from fecosr.errors import ConfigError, StorageError
from fecosr.serving.facts import ModelFacts
from fecosr.serving.market_model import ServedModel, save_market_model
from fecosr.serving.model_card import model_card
from fecosr.serving.onnx_export import require_onnx, write_onnx
from fecosr.storage.atomic_files import PARTIAL_SUFFIX, sync_folder, write_bytes

CARD_FILE: Final = "MODEL_CARD.md"
ONNX_FILE: Final = "model.onnx"


def export_model(served: ServedModel, out: Path, *, onnx: bool) -> None:
    """Write a market model folder with a model card to `out`, which appears when it is whole.

    What it leaves out: where the market's data stand, which users were excluded, the fingerprint of the data.
    What it holds: ids and titles of the catalogue, counts, metrics, and parameters that were fitted to the
    market's interactions without a privacy mechanism of their own; the card says so.

    Args:
        served: the model.
        out: a new or empty folder.
        onnx: write the scoring function as ONNX too.

    Raises:
        ConfigError: the folder holds something, or the packages for ONNX are not installed.
        StorageError: the disk refused.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError("holds something already", remedy="choose another --out", source=str(out))
    if onnx:
        require_onnx()
    handed_on = ServedModel(facts_to_hand_on(served.facts), served.catalogue, served.semantics, served.model)
    partial = out.with_name(f".{out.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        save_market_model(partial, handed_on)
        if onnx:
            write_onnx(handed_on, partial / ONNX_FILE)
        write_bytes(partial / CARD_FILE, model_card(handed_on, with_onnx=onnx).encode())
        partial.replace(out)
        sync_folder(out.parent)
    except OSError as error:
        raise StorageError(f"{out}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def facts_to_hand_on(facts: ModelFacts) -> ModelFacts:
    """Return the facts without those about the market's files and users."""
    data = facts.data.model_copy(update={"fingerprint": None, "settings": None})
    return facts.model_copy(update={"data": data})
