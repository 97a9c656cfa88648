"""A module's parameters as one flat vector: the form in which the markets add, send and store them.

The vector is float32 and little endian, in the order in which the module declares its parameters. That order
is part of the source code, so every party that runs the same version has the same one.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fecosr.errors import MisuseError
from fecosr.recommender.model import SharedModel
from fecosr.recommender.settings import EncoderSettings, SemanticsSettings
from fecosr.training.seeds import seeded

FloatVector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layout:
    """Name the parts of a flat vector, in order.

    Attributes:
        parts: name and shape of each parameter.
    """

    parts: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def num_parameters(self) -> int:
        """Return P, the length of the vector."""
        return sum(math.prod(shape) for _, shape in self.parts)


def layout_of(module: nn.Module) -> Layout:
    """Return where each parameter of `module` stands in its flat vector."""
    return Layout(tuple((name, tuple(value.shape)) for name, value in module.named_parameters()))


def flatten(module: nn.Module) -> FloatVector:
    """Return a copy of all parameters of `module`, float32 [P]."""
    parts = [value.detach().cpu().reshape(-1) for value in module.parameters()]
    return torch.cat(parts).numpy().astype("<f4") if parts else np.zeros(0, "<f4")


def load_into(module: nn.Module, vector: FloatVector) -> None:
    """Overwrite all parameters of `module` with `vector`.

    Raises:
        MisuseError: the vector is not float32 [P], or not finite throughout; the module is as before.
    """
    layout = layout_of(module)
    if vector.dtype != np.float32 or vector.shape != (layout.num_parameters,):
        raise MisuseError(
            f"the model has {layout.num_parameters} float32 parameters, the vector is {vector.dtype} "
            f"of shape {vector.shape}"
        )
    if not np.isfinite(vector).all():
        raise MisuseError("the parameters are not all finite")
    start = 0
    with torch.no_grad():
        for parameter in module.parameters():
            part = vector[start : start + parameter.numel()].reshape(tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(part.astype(np.float32)))
            start += parameter.numel()


def new_shared_model(encoder: EncoderSettings, semantics: SemanticsSettings, seed: int) -> SharedModel:
    """Return a shared model with random parameters, the same for the same seed."""
    with seeded(seed, "shared-model"):
        return SharedModel(encoder, semantics.dimension)


def initial_shared_vector(encoder: EncoderSettings, semantics: SemanticsSettings, seed: int) -> FloatVector:
    """Return the parameters every market starts from, float32 [P]."""
    return flatten(new_shared_model(encoder, semantics, seed))
