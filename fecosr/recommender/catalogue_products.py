"""The three products with the whole catalogue that a full softmax needs: nearly all of the work of training.

    logits = h E^T        dL/dh = G E        dL/dE = sum over rows of G^T h        G = dL/dlogits

Each product reads or writes one chunk of rows at a time in buffers that are allocated once.
"""

from typing import Protocol

import torch
from torch import Tensor

from fecosr.recommender.settings import Precision


class CatalogueProducts(Protocol):
    """Multiply states with a catalogue, chunk by chunk, and collect both gradients."""

    @property
    def grad_states(self) -> Tensor:
        """Return dL/dh, [N, D], where it has been accumulated."""

    @property
    def grad_items(self) -> Tensor:
        """Return dL/dE of the rows accumulated so far, [V, D]."""

    def logits(self, rows: slice) -> Tensor:
        """Return the logits of some rows, [rows, V], in a buffer that the next call overwrites."""

    def accumulate(self, rows: slice, grad_logits: Tensor) -> None:
        """Add what `grad_logits`, [rows, V], means for states and items."""


def catalogue_products(
    states: Tensor, items: Tensor, rows_at_a_time: int, precision: Precision
) -> CatalogueProducts:
    """Return the products of states, [N, D], and items, [V, D], in the best way this machine has."""
    if precision == "bfloat16" and states.dtype == torch.float32 and gains_by_bfloat16(states.device):
        return _HalfProducts(states, items, rows_at_a_time)
    return _FullProducts(states, items, rows_at_a_time)


def gains_by_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 faster than float32; without instructions it is slower."""
    if device.type != "cpu":
        return True
    supported: bool = torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 # there is no public question
    return supported


class _FullProducts:
    """Multiply in the precision of the states."""

    def __init__(self, states: Tensor, items: Tensor, rows_at_a_time: int) -> None:
        self.states, self.items = states, items
        self.grad_states = torch.empty_like(states)
        self.grad_items = torch.zeros_like(items)
        self.buffer = states.new_empty(rows_at_a_time, len(items))

    def logits(self, rows: slice) -> Tensor:
        """Return the logits of some rows."""
        return torch.mm(self.states[rows], self.items.T, out=self.buffer[: rows.stop - rows.start])

    def accumulate(self, rows: slice, grad_logits: Tensor) -> None:
        """Add to both gradients."""
        torch.mm(grad_logits, self.items, out=self.grad_states[rows])
        self.grad_items.addmm_(grad_logits.T, self.states[rows])


class _HalfProducts:
    """Multiply in bfloat16; logits are widened before the softmax, and gradients before they are summed."""

    def __init__(self, states: Tensor, items: Tensor, rows_at_a_time: int) -> None:
        self.states, self.items = states.bfloat16(), items.bfloat16()
        self.grad_states = torch.empty_like(states)
        self.grad_items = torch.zeros_like(items)
        self.wide = states.new_empty(rows_at_a_time, len(items))
        self.narrow = torch.empty_like(self.wide, dtype=torch.bfloat16)
        self.grad_of_chunk = torch.empty_like(self.items)

    def logits(self, rows: slice) -> Tensor:
        """Return the logits of some rows."""
        size = rows.stop - rows.start
        narrow = torch.mm(self.states[rows], self.items.T, out=self.narrow[:size])
        return self.wide[:size].copy_(narrow)

    def accumulate(self, rows: slice, grad_logits: Tensor) -> None:
        """Add to both gradients."""
        narrow = self.narrow[: rows.stop - rows.start].copy_(grad_logits)
        self.grad_states[rows] = torch.mm(narrow, self.items)
        self.grad_items += torch.mm(narrow.T, self.states[rows], out=self.grad_of_chunk)
