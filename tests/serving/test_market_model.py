"""A model folder comes back bit for bit, wherever it is, or it is refused in one line."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from fecosr.errors import ConfigError, StorageError
from fecosr.serving import market_model
from fecosr.serving.evaluation import scorer_of
from fecosr.serving.market_model import MODEL_FILE, ServedModel, load_market_model, save_market_model


def part(folder: Path, name: str) -> Path:
    (path,) = folder.glob(f"{name}-*")
    return path


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / MODEL_FILE
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def pin(folder: Path, name: str) -> None:
    """Make model.json agree with a part that a test has rewritten."""
    contents = part(folder, name).read_bytes()

    def change(values: dict[str, Any]) -> None:
        values[name] |= {"sha256": hashlib.sha256(contents).hexdigest(), "size_bytes": len(contents)}

    rewrite(folder, change)


def test_everything_comes_back_bit_for_bit(served: ServedModel, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "copy")
    shutil.rmtree(folder)
    loaded = load_market_model(copy)
    assert loaded.facts == served.facts
    assert loaded.catalogue.items == served.catalogue.items
    np.testing.assert_array_equal(loaded.catalogue.in_training, served.catalogue.in_training)
    assert torch.equal(loaded.semantics, served.semantics)
    expected = served.model.state_dict()
    assert {name for name in expected if name.startswith("adapter.")} >= {"adapter.local_items"}
    assert loaded.model.state_dict().keys() == expected.keys()
    for name, value in loaded.model.state_dict().items():
        assert value.numpy().tobytes() == expected[name].numpy().tobytes(), name
    histories = [np.array([3, 1, 4], np.int32), np.array([5], np.int32)]
    assert scorer_of(loaded)(histories).tobytes() == scorer_of(served)(histories).tobytes()


def test_saving_the_same_model_again_changes_no_byte(served: ServedModel, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    save_market_model(folder, served)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert len(before) == 4


def test_a_new_model_replaces_the_old_one(served: ServedModel, untitled: ServedModel, folder: Path) -> None:
    save_market_model(folder, untitled)
    assert load_market_model(folder).facts == untitled.facts
    assert len(list(folder.iterdir())) == 4


def test_a_crash_before_the_last_step_leaves_the_old_model(
    served: ServedModel, untitled: ServedModel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(path: Path, value: object) -> None:
        raise StorageError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(market_model, "write_json", crash)
    with pytest.raises(StorageError):
        save_market_model(folder, untitled)
    assert load_market_model(folder).facts == served.facts


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.json: cannot be read \(name a market model folder\)"):
        load_market_model(tmp_path / "nothing")


def test_the_folder_of_a_node_is_answered_with_the_right_one(folder: Path) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {folder}"):
        load_market_model(folder.parent)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "other"}'])
def test_a_model_file_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / MODEL_FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"is not JSON|does not describe a market model"):
        load_market_model(folder)


def test_another_format_version_is_refused_by_number(folder: Path) -> None:
    rewrite(folder, lambda values: values.update(format_version=2))
    with pytest.raises(ConfigError, match="has format version 2, this FeCoSR reads 1"):
        load_market_model(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values.update(colour="red"), "colour: unknown key"),
        (lambda values: values["model"].pop("market"), "model.market: is missing"),
        (lambda values: values["parameters"].update(name="../secret"), "parameters.name"),
        (lambda values: values["model"]["training"]["learning"]["encoder"].update(num_heads=3), "num_heads"),
        (lambda values: values["model"]["origin"].update(plan_hash="xyz"), "model.origin.plan_hash"),
    ],
)
def test_a_wrong_value_is_named(folder: Path, change: Callable[[dict[str, Any]], None], said: str) -> None:
    rewrite(folder, change)
    with pytest.raises(ConfigError, match=said):
        load_market_model(folder)


@pytest.mark.parametrize("name", ["parameters", "semantics", "catalogue"])
def test_a_missing_truncated_or_changed_file_is_refused(folder: Path, name: str) -> None:
    path = part(folder, name)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ConfigError, match=f"{path.name}: has {len(whole) - 1} bytes instead of {len(whole)}"):
        load_market_model(folder)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ConfigError, match=f"{path.name}: has other contents than model.json says"):
        load_market_model(folder)
    path.unlink()
    with pytest.raises(ConfigError, match=f"{path.name}: cannot be read"):
        load_market_model(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("adapter.gate"), "lacks tensor adapter.gate"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "has an unknown tensor extra"),
        (
            lambda tensors: tensors.update({"adapter.gate": torch.zeros(3)}),
            r"tensor adapter.gate has shape \[3\], not \[16\]",
        ),
        (
            lambda tensors: tensors.update({"adapter.gate": torch.full((16,), torch.nan)}),
            "adapter.gate is not finite float32",
        ),
        (
            lambda tensors: tensors.update({"adapter.gate": torch.zeros(16, dtype=torch.float64)}),
            "adapter.gate is not finite float32",
        ),
    ],
)
def test_tensors_that_do_not_fit_the_model_are_refused(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], None], said: str
) -> None:
    path = part(folder, "parameters")
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    pin(folder, "parameters")
    with pytest.raises(ConfigError, match=said):
        load_market_model(folder)


def test_a_catalogue_of_another_size_is_refused(folder: Path) -> None:
    path = part(folder, "catalogue")
    pl.read_parquet(path).head(50).write_parquet(path)
    pin(folder, "catalogue")
    with pytest.raises(ConfigError, match=r"has 50 items, model.json says 96"):
        load_market_model(folder)
    rewrite(folder, lambda values: values["model"]["data"].update(items=50))
    with pytest.raises(ConfigError, match=r"tensor vectors has shape \[96, 32\], not \[50, 32\]"):
        load_market_model(folder)


def test_other_semantic_vectors_than_those_of_the_training_are_refused(folder: Path) -> None:
    path = part(folder, "semantics")
    tensors = load_file(path)
    tensors["vectors"][0, 0] += 1
    save_file(tensors, path)
    pin(folder, "semantics")
    with pytest.raises(ConfigError, match=r"holds other vectors than model.json says"):
        load_market_model(folder)


def test_files_that_are_no_safetensors_or_parquet_are_refused(folder: Path) -> None:
    for name, said in (
        ("parameters", "is not a whole safetensors file"),
        ("catalogue", "is no Parquet file"),
    ):
        contents = part(folder, name).read_bytes()
        part(folder, name).write_bytes(b"x" * 100)
        pin(folder, name)
        with pytest.raises(ConfigError, match=said):
            load_market_model(folder)
        part(folder, name).write_bytes(contents)
        pin(folder, name)
    load_market_model(folder)
