"""Semantic Soft Cross-Entropy (S2CE), and plain cross-entropy as its special case.

For a target y with its K nearest items N(y), y included, and a softmax p over all of the market's items,

    q_y(j) = softmax over j in N(y) of cos(z_y, z_j) / tau
    t_y    = (1 - alpha) onehot(y) + alpha q_y
    loss   = -sum_j t_y(j) log p(j)  =  logsumexp(logits) - sum_{k in N(y)} t_y(k) logits(k)

The right-hand side holds because t_y sums to one; it never needs a soft target over the whole catalogue.
t_y is zero outside N(y) by definition: this is not a truncation of a softmax over all items, whose tail could
outweigh the target. alpha = 0, or tau towards 0, gives cross-entropy back.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fecosr.recommender.semantics import Neighbours
from fecosr.recommender.settings import S2CESettings

_CHUNK_LOGITS = 1 << 20
"""Logits held at a time, 4 MiB: they stay in cache between the softmax and the products that follow."""


@dataclass(frozen=True, slots=True, eq=False)
class SoftTargets:
    """Hold t_y for every item y of a catalogue, without its zeros.

    Attributes:
        items: int64 [V, K], the items that share the target, y itself first.
        shares: float32 [V, K], t_y at those items; rows sum to one.
    """

    items: Tensor = field(repr=False)
    shares: Tensor = field(repr=False)


def semantic_targets(neighbours: Neighbours, settings: S2CESettings) -> SoftTargets:
    """Return t_y = (1 - alpha) onehot(y) + alpha q_y for every item.

    Args:
        neighbours: of each item, itself first.
        settings: alpha, tau and K; neighbours beyond K are left out.
    """
    items = torch.from_numpy(neighbours.items[:, : settings.num_neighbours].copy())  # [V, K]
    if settings.alpha == 0.0:
        return hard_targets(len(items))
    cosines = torch.from_numpy(neighbours.cosines[:, : settings.num_neighbours].copy())  # [V, K]
    shares = settings.alpha * torch.softmax(cosines.double() / settings.tau, dim=1)  # [V, K]
    shares[:, 0] += 1.0 - settings.alpha
    return SoftTargets(items, shares.float())


def hard_targets(num_items: int) -> SoftTargets:
    """Return t_y = onehot(y) for every item: with it, `soft_cross_entropy` is cross-entropy."""
    return SoftTargets(torch.arange(num_items)[:, None], torch.ones(num_items, 1))


def soft_cross_entropy(states: Tensor, item_inputs: Tensor, targets: Tensor, soft: SoftTargets) -> Tensor:
    """Return the mean S2CE of predicting `targets` from `states` over the whole catalogue.

    The gradient on the logits is `(p - t_y) / N`. It is formed chunk by chunk in the forward pass, so neither
    pass ever holds all N x V logits; gradients of gradients are therefore not available.

    Args:
        states: h, [N, D] with N >= 1.
        item_inputs: E, [V, D]; logits are `h E^T`.
        targets: int64 [N].
        soft: the soft targets of every item.

    Returns:
        a scalar.
    """
    loss: Tensor = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        states, item_inputs, soft.items[targets], soft.shares[targets].to(states.dtype)
    )
    return loss


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Compute loss and both gradients in one sweep over row chunks, softmax in place."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, items: Tensor, columns: Tensor, shares: Tensor) -> Tensor:
        num_rows, num_items = len(states), len(items)
        chunk = max(1, min(num_rows, _CHUNK_LOGITS // num_items))
        buffer = states.new_empty(chunk, num_items)
        grad_states = torch.empty_like(states)
        grad_items = torch.zeros_like(items)
        # Summed in double: the loss of a large batch must not depend on how it was cut into chunks.
        total = torch.zeros((), dtype=torch.float64, device=states.device)
        for start in range(0, num_rows, chunk):
            rows = slice(start, min(start + chunk, num_rows))
            logits = torch.mm(states[rows], items.T, out=buffer[: rows.stop - start])  # [rows, V]
            log_normaliser = logits.logsumexp(dim=1, keepdim=True)  # [rows, 1]
            expected = (shares[rows] * logits.gather(1, columns[rows])).sum(dim=1)  # [rows]
            total += (log_normaliser[:, 0] - expected).double().sum()
            grad_logits = logits.sub_(log_normaliser).exp_()  # p, in the place of the logits
            grad_logits.scatter_add_(1, columns[rows], -shares[rows])  # p - t
            torch.mm(grad_logits, items, out=grad_states[rows])
            grad_items.addmm_(grad_logits.T, states[rows])
        ctx.save_for_backward(grad_states.div_(num_rows), grad_items.div_(num_rows))
        return (total / num_rows).to(states.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_states, grad_items = ctx.saved_tensors
        return grad_loss * grad_states, grad_loss * grad_items, None, None
