"""Tensors by name in a safetensors file: float32, finite, of known shapes, or refused."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from fecosr.errors import ConfigError

VECTORS: Final = "vectors"
"""The name of the one tensor in the file of semantic vectors."""


def parameters_bytes(model: nn.Module) -> bytes:
    """Return the file that holds every parameter of `model` under the name the module gives it."""
    return tensors_bytes(model.state_dict())


def tensors_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return the file that holds `tensors`."""
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    contents: bytes = save(whole)
    return contents


def parse_parameters(contents: bytes, model: nn.Module, path: Path) -> None:
    """Overwrite every parameter of `model` with what stands in `contents`.

    Args:
        contents: a file that `parameters_bytes` wrote.
        model: of the right shape; as before when the file is refused.
        path: is named in errors.

    Raises:
        ConfigError: damaged, or not exactly this model's parameters.
    """
    state = model.state_dict()
    expected = {name: tuple(value.shape) for name, value in state.items()}
    numbers = {name for name, value in state.items() if value.dtype == torch.int64}
    model.load_state_dict(parse_tensors(contents, expected, path, item_numbers=numbers))


def parse_tensors(
    contents: bytes,
    shapes: Mapping[str, tuple[int, ...]],
    path: Path,
    *,
    item_numbers: Collection[str] = (),
) -> dict[str, Tensor]:
    """Return the tensors in `contents`, which must be finite float32 and have exactly these names and shapes.

    Those in `item_numbers` must be int64 and number rows of themselves: one row stands for one item.

    Raises:
        ConfigError: they are not; the message names the first that is wrong.
    """
    try:
        tensors: dict[str, Tensor] = load(contents)
    except SafetensorError:
        raise _unusable("is not a whole safetensors file", path) from None
    for name in sorted(shapes.keys() ^ tensors.keys()):
        raise _unusable(f"{'lacks' if name in shapes else 'has an unknown'} tensor {name}", path)
    for name, shape in shapes.items():
        found = tensors[name]
        if tuple(found.shape) != shape:
            raise _unusable(f"tensor {name} has shape {list(found.shape)}, not {list(shape)}", path)
        if name in item_numbers:
            if found.dtype != torch.int64 or bool(((found < 0) | (found >= len(found))).any()):
                raise _unusable(f"tensor {name} does not hold numbers of items", path)
        elif found.dtype != torch.float32 or not bool(torch.isfinite(found).all()):
            raise _unusable(f"tensor {name} is not finite float32", path)
    return tensors


def _unusable(message: str, path: Path) -> ConfigError:
    return ConfigError(
        message, remedy="copy the model folder again, or let the node make it again", source=str(path)
    )
