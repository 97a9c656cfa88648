"""The folder of a market model: all that is needed to use a market's own model, on any machine, offline.

    model.json                        facts, and name, size and SHA-256 of each file below; replaced last
    parameters-<hash>.safetensors     every parameter by name: shared, adapter, local item embedding
    semantics-<hash>.safetensors      the semantic vectors of the catalogue, [V, Z]
    catalogue-<hash>.parquet          the items: id, title, whether they occur in training

Files are named after their contents and model.json is replaced in one step, so a crash leaves the old model
or the new one. Nothing in this folder is ever sent to anybody.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fecosr.config.toml import validate
from fecosr.errors import ConfigError
from fecosr.federation.aggregation import parameters_hash
from fecosr.recommender.model import MarketModel
from fecosr.recommender.semantics import is_sketched
from fecosr.serving.catalogue_file import ServedCatalogue, catalogue_bytes, parse_catalogue
from fecosr.serving.facts import FORMAT, FORMAT_VERSION, MODEL_FOLDER, FileFacts, ModelFacts, ModelFile
from fecosr.serving.parameters_file import (
    VECTORS,
    parameters_bytes,
    parse_parameters,
    parse_tensors,
    tensors_bytes,
)
from fecosr.storage.atomic_files import make_folder, remove_partial_files, write_bytes, write_json
from fecosr.training.parameters import new_shared_model
from fecosr.training.seeds import seeded
from fecosr.training.settings import LearningSettings

MODEL_FILE: Final = "model.json"
_HASH_DIGITS: Final = 12
_PARTS: Final = ("parameters", "semantics", "catalogue")


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """Hold a market model that can be used.

    Attributes:
        facts: where it comes from and how it was made.
        catalogue: the items it scores.
        semantics: their vectors, float32 [V, Z].
        model: the parameters; like the vectors on the processor, wherever it was trained.
    """

    facts: ModelFacts
    catalogue: ServedCatalogue = field(repr=False)
    semantics: Tensor = field(repr=False)
    model: MarketModel = field(repr=False)

    def meaningful(self) -> npt.NDArray[np.bool_]:
        """Return of which items a score says something, bool [V].

        Of a cold item whose vector is made from behaviour, where users of some market have it.
        """
        if self.facts.semantics.kind != "behaviour":
            return self.catalogue.meaningful(self.facts.semantics)
        settings = self.facts.training.learning.semantics
        sketched = is_sketched(self.semantics.numpy(), self.catalogue.items.item_ids, settings)
        return self.catalogue.in_training | sketched


def empty_model(learning: LearningSettings, num_items: int) -> MarketModel:
    """Return a model of the right shape whose parameters mean nothing yet."""
    with seeded(0, "empty-market-model"):
        model = MarketModel(
            new_shared_model(learning.encoder, learning.semantics, seed=0), num_items, learning.adapter
        )
    model.attach_regression()
    return model


def save_market_model(folder: Path, served: ServedModel) -> Path:
    """Write the model folder, replacing the model in it, and return the path of its model.json.

    Raises:
        ConfigError: there cannot be such a folder.
        StorageError: the disk refused; the old model still stands.
    """
    make_folder(folder)
    remove_partial_files(folder)
    vectors = tensors_bytes({VECTORS: served.semantics})
    file = ModelFile(
        model=served.facts,
        parameters=_write(folder, "parameters", ".safetensors", parameters_bytes(served.model)),
        semantics=_write(folder, "semantics", ".safetensors", vectors),
        catalogue=_write(folder, "catalogue", ".parquet", catalogue_bytes(served.catalogue)),
    )
    path = folder / MODEL_FILE
    write_json(path, file.model_dump(mode="json"))
    current = {getattr(file, part).name for part in _PARTS}
    for part in _PARTS:
        for old in folder.glob(f"{part}-*"):
            if old.name not in current:
                old.unlink(missing_ok=True)
    return path


def load_market_model(folder: Path) -> ServedModel:
    """Return the market model in `folder`, having checked everything that can be checked.

    Raises:
        ConfigError: there is none, or a file is missing, damaged, or does not fit the others.
    """
    file = _read_model_file(folder)
    contents = {part: _read(folder, getattr(file, part)) for part in _PARTS}
    catalogue = parse_catalogue(contents["catalogue"], folder / file.catalogue.name)
    num_items, learning = len(catalogue.items), file.model.training.learning
    if num_items != file.model.data.items:
        raise _unusable(
            f"has {num_items} items, {MODEL_FILE} says {file.model.data.items}", folder / file.catalogue.name
        )
    shape = (num_items, learning.semantics.dimension)
    vectors = parse_tensors(contents["semantics"], {VECTORS: shape}, folder / file.semantics.name)
    if parameters_hash(vectors[VECTORS].numpy()).hex() != file.model.semantics.vectors_hash:
        raise _unusable(f"holds other vectors than {MODEL_FILE} says", folder / file.semantics.name)
    model = empty_model(learning, num_items)
    parse_parameters(contents["parameters"], model, folder / file.parameters.name)
    return ServedModel(file.model, catalogue, vectors[VECTORS], model.eval())


def _write(folder: Path, part: str, suffix: str, contents: bytes) -> FileFacts:
    digest = hashlib.sha256(contents).hexdigest()
    name = f"{part}-{digest[:_HASH_DIGITS]}{suffix}"
    write_bytes(folder / name, contents)
    return FileFacts(name=name, sha256=digest, size_bytes=len(contents))


def _read(folder: Path, facts: FileFacts) -> bytes:
    path = folder / facts.name
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise _unusable(f"cannot be read: {error.strerror}", path) from None
    if len(contents) != facts.size_bytes:
        raise _unusable(f"has {len(contents)} bytes instead of {facts.size_bytes}", path)
    if hashlib.sha256(contents).hexdigest() != facts.sha256:
        raise _unusable(f"has other contents than {MODEL_FILE} says", path)
    return contents


def _read_model_file(folder: Path) -> ModelFile:
    path = folder / MODEL_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        inner = folder / MODEL_FOLDER
        hint = f"did you mean {inner}?" if (inner / MODEL_FILE).is_file() else "name a market model folder"
        raise ConfigError("cannot be read", remedy=hint, source=str(path)) from None
    try:
        values: Any = json.loads(text)
    except ValueError:
        raise _unusable("is not JSON", path) from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise _unusable("does not describe a market model", path)
    if values.get("format_version") != FORMAT_VERSION:
        raise ConfigError(
            f"has format version {values.get('format_version')}, this FeCoSR reads {FORMAT_VERSION}",
            remedy="use the FeCoSR that wrote it",
            source=str(path),
        )
    return validate(values, ModelFile, source=str(path))


def _unusable(message: str, path: Path) -> ConfigError:
    return ConfigError(
        message, remedy="copy the model folder again, or let the node make it again", source=str(path)
    )
