"""Semantic Soft Cross-Entropy (S2CE), and plain cross-entropy as its special case.

For a target y with soft target t_y (`fecosr.recommender.soft_targets`) and a softmax p over all of the
market's items,

    loss = -sum_j t_y(j) log p(j)  =  logsumexp(logits) - sum_j t_y(j) logits(j)

The right-hand side holds because t_y sums to one. Where t_y is zero but for K items it never needs a soft
target over the whole catalogue, and a share that is spread over all items alike needs the mean item alone.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fecosr.recommender.catalogue_products import CatalogueProducts, catalogue_products
from fecosr.recommender.settings import Precision
from fecosr.recommender.soft_targets import SoftTargets

_GOOD_ROWS = 128
"""Rows of a chunk with which its products run at full speed."""

_CACHED_LOGITS = 1 << 20
"""Logits held at a time, 4 MiB, even where that is more rows: they stay in cache."""

_MOST_LOGITS = 6 << 20
"""Logits held at a time at most, 24 MiB: beyond 32 MiB page faults cost more than the products."""


class CatalogueShard(Protocol):
    """Be a part of a catalogue, of which other processes have the other parts."""

    @property
    def num_shards(self) -> int:
        """Return how many parts there are."""

    @property
    def num_items(self) -> int:
        """Return V, the number of items of all parts."""

    @property
    def most_rows(self) -> int:
        """Return the number of items in the largest part."""

    def log_normaliser(self, own: Tensor) -> Tensor:
        """Return the logarithm of the softmax's denominator over all parts, [N], from that over this one."""


def soft_cross_entropy(
    states: Tensor,
    item_inputs: Tensor,
    targets: Tensor,
    soft: SoftTargets,
    precision: Precision = "float32",
    *,
    shard: CatalogueShard | None = None,
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
        shard: where `item_inputs` and the columns of `soft` are a part of the catalogue; loss and gradients
            are then this part's, and add up to the whole ones.

    Returns:
        a scalar.
    """
    wanted = _Wanted(targets, soft, shard)
    loss: Tensor = _S2CE.apply(states, item_inputs, wanted, precision)  # type: ignore[no-untyped-call]
    return loss


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """Hold the targets of a batch, int64 [N], the soft targets of every item, and of which part of them."""

    targets: Tensor
    soft: SoftTargets
    shard: CatalogueShard | None


class _S2CE(torch.autograd.Function):
    """Compute loss and both gradients in one sweep over row chunks, softmax in place."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, items: Tensor, wanted: _Wanted, precision: Precision) -> Tensor:
        targets, soft, shard = wanted.targets, wanted.soft, wanted.shard
        num_rows = len(states)
        rows_at_a_time = _rows_at_a_time(num_rows, len(items) if shard is None else shard.most_rows)
        products = catalogue_products(states, items, rows_at_a_time, precision)
        # Summed in double: the loss of a large batch must not depend on how it was cut into chunks.
        total = torch.zeros((), dtype=torch.float64, device=states.device)
        for start in range(0, num_rows, rows_at_a_time):
            rows = slice(start, min(start + rows_at_a_time, num_rows))
            total += _sweep(products, rows, targets[rows], soft, shard)
        if soft.uniform is not None:
            spread = soft.uniform[targets].to(states.dtype)  # [N]
            if shard is not None:
                spread *= len(items) / shard.num_items
            mean_item = items.mean(dim=0)  # [D]
            total -= (spread * (states @ mean_item)).double().sum()
            products.grad_states.addr_(spread, mean_item, alpha=-1.0)
            products.grad_items.sub_((spread @ states) / len(items))
        ctx.save_for_backward(products.grad_states.div_(num_rows), products.grad_items.div_(num_rows))
        return (total / num_rows).to(states.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_states, grad_items = ctx.saved_tensors
        return grad_loss * grad_states, grad_loss * grad_items, None, None


def _sweep(
    products: CatalogueProducts,
    rows: slice,
    targets: Tensor,
    soft: SoftTargets,
    shard: CatalogueShard | None,
) -> Tensor:
    """Return the summed loss of some rows, and add their part to both gradients."""
    logits = products.logits(rows)  # [rows, V]
    shares = soft.shares[targets].to(logits.dtype)  # [rows, K]
    columns = None if soft.items is None else soft.items[targets]  # [rows, K]
    largest = logits.amax(dim=1)  # [rows]
    shared = logits if columns is None else logits.gather(1, columns)  # [rows, K]
    expected: Tensor = torch.linalg.vecdot(shares, shared)  # [rows]
    p = torch.softmax(logits, dim=1, out=logits)  # [rows, V]
    # The largest p is exp(largest - log_normaliser), and never so small that its logarithm loses digits.
    log_normaliser = largest - p.amax(dim=1).log()  # [rows]
    if shard is not None:
        of_shard, whole = log_normaliser, shard.log_normaliser(log_normaliser)  # [rows]
        p.mul_((of_shard - whole).exp_()[:, None])
        log_normaliser = whole / shard.num_shards
    # What is left in place of p is p - t.
    grad_logits = p.sub_(shares) if columns is None else p.scatter_add_(1, columns, shares.neg_())
    products.accumulate(rows, grad_logits)
    total: Tensor = (log_normaliser - expected).double().sum()
    return total


def _rows_at_a_time(num_rows: int, num_items: int) -> int:
    """Return how many rows of logits to hold."""
    rows = max(_CACHED_LOGITS // num_items, min(_GOOD_ROWS, _MOST_LOGITS // num_items))
    return max(1, min(num_rows, rows))
