"""The gradients of single users with respect to a sequence encoder, from one pass over many of them.

Its layers treat every position by itself, or are told apart by user. So what one user contributes to the
weights of a layer follows from its inputs x and the gradients dy of its outputs at that user's positions l:

    linear       y = W x + b         dW = sum_l dy_l x_l^T         db = sum_l dy_l
    layer norm   y = w * n(x) + b    dw = sum_l dy_l * n(x_l)      db = sum_l dy_l
    positions    s_l = x_l + p_l     dp_l = ds_l

Reference: Goodfellow 2015, "Efficient Per-Example Gradient Computations".
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from fecosr.errors import MisuseError
from fecosr.recommender.encoder import SequenceEncoder

_POSITIONS: Final = "positions"


@dataclass(slots=True, eq=False)
class EncoderRecording:
    """Hold what passed through an encoder in one pass over B users.

    Attributes:
        encoder: whose pass it is.
        states: the sum of inputs and positions, [B, L, D].
        layers: name, layer, input and output of each layer with weights, in the order they were run.
    """

    encoder: SequenceEncoder
    states: list[Tensor] = field(default_factory=list)
    layers: list[tuple[str, nn.Module, Tensor, Tensor]] = field(default_factory=list)

    @property
    def outputs(self) -> list[Tensor]:
        """Return what gradients are needed of."""
        return [*self.states, *(output for _, _, _, output in self.layers)]

    def gradients(self, of_outputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the gradients of every parameter by its name, [B, its shape], from those of the outputs.

        Raises:
            MisuseError: for one of them there is no rule above, or it was used twice, so that a part of its
                gradient would go unnoticed.
        """
        once = len(self.states) == 1 and len({name for name, *_ in self.layers}) == len(self.layers)
        if not once:
            raise MisuseError("no rule for the gradients of single users of what is run more than once")
        of_states, *of_layers = of_outputs
        found = {_POSITIONS: self._of_positions(of_states)}
        for (name, layer, inputs, _), of_output in zip(self.layers, of_layers, strict=True):
            for part, value in _of_layer(layer, inputs, of_output).items():
                found[f"{name}.{part}"] = value
        missing = {name for name, _ in self.encoder.named_parameters()} ^ found.keys()
        if missing:
            raise MisuseError(f"no rule for the gradients of single users of {sorted(missing)}")
        return found

    def _of_positions(self, of_states: Tensor) -> Tensor:
        unused = self.encoder.positions.shape[0] - of_states.shape[1]
        return functional.pad(of_states, (0, 0, 0, unused))  # [B, most positions, D]


@contextmanager
def recorded(encoder: SequenceEncoder) -> Iterator[EncoderRecording]:
    """Record the one pass through `encoder` that is made inside."""
    recording = EncoderRecording(encoder)

    def see_states(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        recording.states.append(inputs[0])

    def see_layer(name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        recording.layers.append((name, layer, inputs[0], output))

    hooks = [encoder.blocks[0].register_forward_pre_hook(see_states)]
    for name, layer in encoder.named_modules():
        if isinstance(layer, nn.Linear | nn.LayerNorm):
            hooks.append(layer.register_forward_hook(partial(see_layer, name)))
    try:
        yield recording
    finally:
        for hook in hooks:
            hook.remove()


def _of_layer(layer: nn.Module, inputs: Tensor, of_output: Tensor) -> dict[str, Tensor]:
    """Return the gradients of a layer's weight and bias from [B, L, in] and [B, L, out]."""
    inputs = inputs.detach()
    if isinstance(layer, nn.Linear):
        weight = torch.bmm(of_output.mT, inputs)  # [B, out, in]
    else:
        assert isinstance(layer, nn.LayerNorm)  # noqa: S101 - nothing else is recorded
        normalised = functional.layer_norm(inputs, layer.normalized_shape, eps=layer.eps)
        weight = (of_output * normalised).sum(dim=1)  # [B, D]
    return {"weight": weight, "bias": of_output.sum(dim=1)}
