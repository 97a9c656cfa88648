"""Semantic Soft Cross-Entropy (S2CE), and plain cross-entropy as its special case.

For a target y with its K nearest items N(y), y included, and a softmax p over all of the market's items,

    q_y(j) = softmax over j in N(y) of cos(z_y, z_j) / tau
    t_y    = (1 - alpha) onehot(y) + alpha q_y
    loss   = -sum_j t_y(j) log p(j)  =  logsumexp(logits) - sum_{k in N(y)} t_y(k) logits(k)

The right-hand side holds because t_y sums to one; it never needs a soft target over the whole catalogue.
t_y is zero outside N(y) by definition: this is not a truncation of a softmax over all items, whose tail could
outweigh the target. alpha = 0, or tau towards 0, gives cross-entropy back. Label smoothing spreads a share
over the whole catalogue alike; its part of loss and gradient needs the mean item alone.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fecosr.recommender.catalogue_products import CatalogueProducts, catalogue_products
from fecosr.recommender.semantics import Neighbours
from fecosr.recommender.settings import Precision, S2CESettings

_GOOD_ROWS = 128
"""Rows of a chunk with which its products run at full speed."""

_CACHED_LOGITS = 1 << 20
"""Logits held at a time, 4 MiB, even where that is more rows: they stay in cache."""

_MOST_LOGITS = 6 << 20
"""Logits held at a time at most, 24 MiB: beyond 32 MiB page faults cost more than the products."""


@dataclass(frozen=True, slots=True, eq=False)
class SoftTargets:
    """Hold t_y for every item y of a catalogue, or for the targets of a batch, without its zeros.

    Attributes:
        items: int64 [V, K], the items that share the target, y itself first.
        shares: float32 [V, K], t_y at those items, without what `uniform` adds; rows sum to `1 - uniform`.
        uniform: the share that is spread over all items alike.
    """

    items: Tensor = field(repr=False)
    shares: Tensor = field(repr=False)
    uniform: float = 0.0


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


def smoothed(soft: SoftTargets, smoothing: float) -> SoftTargets:
    """Return `(1 - smoothing) t_y + smoothing / V` for every item y.

    Reference: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7.
    """
    kept = 1.0 - smoothing
    return SoftTargets(soft.items, kept * soft.shares, kept * soft.uniform + smoothing)


def soft_cross_entropy(
    states: Tensor,
    item_inputs: Tensor,
    targets: Tensor,
    soft: SoftTargets,
    precision: Precision = "float32",
) -> Tensor:
    """Return the mean S2CE of predicting `targets` from `states` over the whole catalogue.

    The gradient on the logits is `(p - t_y) / N`. It is formed chunk by chunk in the forward pass, so neither
    pass ever holds all N x V logits; gradients of gradients are therefore not available.

    Args:
        states: h, [N, D] with N >= 1.
        item_inputs: E, [V, D]; logits are `h E^T`.
        targets: int64 [N].
        soft: the soft targets of every item.
        precision: of the factors of the three products with the catalogue; sums and softmax are in the
            precision of `states`. "bfloat16" is "float32" where the machine would gain nothing by it.

    Returns:
        a scalar.
    """
    of_rows = SoftTargets(soft.items[targets], soft.shares[targets].to(states.dtype), soft.uniform)
    loss: Tensor = _S2CE.apply(states, item_inputs, of_rows, precision)  # type: ignore[no-untyped-call]
    return loss


class _S2CE(torch.autograd.Function):
    """Compute loss and both gradients in one sweep over row chunks, softmax in place."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, items: Tensor, targets: SoftTargets, precision: Precision
    ) -> Tensor:
        num_rows = len(states)
        rows_at_a_time = _rows_at_a_time(num_rows, len(items))
        products = catalogue_products(states, items, rows_at_a_time, precision)
        # Summed in double: the loss of a large batch must not depend on how it was cut into chunks.
        total = torch.zeros((), dtype=torch.float64, device=states.device)
        for start in range(0, num_rows, rows_at_a_time):
            rows = slice(start, min(start + rows_at_a_time, num_rows))
            total += _sweep(products, rows, targets.items[rows], targets.shares[rows])
        if targets.uniform:
            mean_item = items.mean(dim=0)  # [D]
            total -= targets.uniform * (states @ mean_item).double().sum()
            products.grad_states.sub_(targets.uniform * mean_item)
            products.grad_items.sub_(targets.uniform / len(items) * states.sum(dim=0))
        ctx.save_for_backward(products.grad_states.div_(num_rows), products.grad_items.div_(num_rows))
        return (total / num_rows).to(states.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_states, grad_items = ctx.saved_tensors
        return grad_loss * grad_states, grad_loss * grad_items, None, None


def _sweep(products: CatalogueProducts, rows: slice, columns: Tensor, shares: Tensor) -> Tensor:
    """Return the summed loss of some rows, and add their part to both gradients."""
    logits = products.logits(rows)  # [rows, V]
    largest = logits.amax(dim=1)  # [rows]
    expected = (shares * logits.gather(1, columns)).sum(dim=1)  # [rows]
    p = torch.softmax(logits, dim=1, out=logits)  # [rows, V]
    # The largest p is exp(largest - log_normaliser), and never so small that its logarithm loses digits.
    log_normaliser = largest - p.amax(dim=1).log()  # [rows]
    products.accumulate(rows, p.scatter_add_(1, columns, -shares))  # p - t
    return (log_normaliser - expected).double().sum()


def _rows_at_a_time(num_rows: int, num_items: int) -> int:
    """Return how many rows of logits to hold."""
    rows = max(_CACHED_LOGITS // num_items, min(_GOOD_ROWS, _MOST_LOGITS // num_items))
    return max(1, min(num_rows, rows))
