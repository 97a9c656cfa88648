"""The places where training looks at the whole catalogue, done with a part of its rows in each process.

Every loss here is a sum over shards, and so is every gradient: shard r holds

    L_r = (1 / N) sum_n (logsumexp_n / S - sum over j of shard r of t_n(j) logits_n(j))        L = sum_r L_r

and its own backward pass, which needs nothing of the others but the gradients on inputs that it looked up
for them. What belongs to all, encoder and projector, adds up its gradients before each step; the rows of a
table of items have theirs already.

Reference: Shoeybi et al. 2019, "Megatron-LM", section 3: embedding and softmax over parts of a vocabulary.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fecosr.recommender.model import MarketModel, SequenceModel
from fecosr.recommender.soft_targets import SoftTargets
from fecosr.training.sharded.group import ShardGroup


@dataclass(frozen=True, slots=True)
class Shard:
    """Be one part of the rows of a catalogue of `num_items`, as even as can be.

    Attributes:
        group: the processes among which the rows are divided.
        num_items: V, of the whole catalogue.
    """

    group: ShardGroup = field(repr=False)
    num_items: int

    @property
    def num_shards(self) -> int:
        """Return S."""
        return self.group.num_shards

    @property
    def most_rows(self) -> int:
        """Return the rows of the largest shard: what all must agree on is decided by it."""
        return -(-self.num_items // self.num_shards)

    @property
    def rows(self) -> slice:
        """Return the rows of this shard."""
        return self.rows_of(self.group.shard)

    def rows_of(self, shard: int) -> slice:
        """Return the rows of any shard; the first ones may have one more than the others."""
        even, more = divmod(self.num_items, self.num_shards)
        first = shard * even + min(shard, more)
        return slice(first, first + even + (shard < more))

    def look_up(self, items: Tensor, sequences: Tensor) -> Tensor:
        """Return the inputs of items wherever their rows are, [B, L, D].

        Args:
            items: [V_r, D], the item inputs of this shard.
            sequences: int64 [B, L], numbers of items of the whole catalogue.
        """
        looked_up: Tensor = _LookUp.apply(items, sequences, self)  # type: ignore[no-untyped-call]
        return looked_up

    def log_normaliser(self, own: Tensor) -> Tensor:
        """Return the logarithm of the softmax's denominator over all items, [N], from that of this shard."""
        return torch.logsumexp(self.group.of_all(own), dim=0)

    def targets_of(self, soft: SoftTargets) -> SoftTargets:
        """Return what this shard's items have of the soft targets of every item."""
        rows = self.rows
        if soft.items is None:
            return SoftTargets(soft.shares[:, rows].contiguous(), None, soft.uniform)
        own = (soft.items >= rows.start) & (soft.items < rows.stop)  # [V, K]
        # Where an item belongs to another shard, a share of zero stands at the first.
        return SoftTargets(soft.shares * own, (soft.items - rows.start) * own, soft.uniform)

    def add_up(self, model: SequenceModel, loss: Tensor) -> Tensor:
        """Complete the gradients of what all shards have in common, and return the whole loss."""
        table = _table_of(model)
        gradients = [it.grad for it in model.parameters() if it is not table and it.grad is not None]
        parts = [gradient.reshape(-1) for gradient in gradients]
        summed = self.group.add_up(torch.cat([*parts, loss.reshape(1)]))
        sizes = [len(part) for part in parts]
        for gradient, part in zip(gradients, torch.split(summed[:-1], sizes), strict=True):
            gradient.copy_(part.view_as(gradient))
        return summed[-1]

    def scores(self, model: SequenceModel, items: Tensor, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits of the next item over the whole catalogue, [B, V], in every shard."""
        states = model.encode(self.look_up(items, sequences))  # [B, L, D]
        own = model.last_states(states, lengths) @ items.T  # [B, V_r]
        padded = nn.functional.pad(own, (0, self.most_rows - own.shape[1]))
        parts = enumerate(self.group.of_all(padded))
        return torch.cat([part[:, : self._size_of(shard)] for shard, part in parts], dim=1)

    def whole(self, part: Tensor) -> Tensor | None:
        """Return all rows of a table, [V, D], in shard 0, of which each shard gives its own."""
        if self.group.shard:
            self.group.send(part, 0)
            return None
        others = range(1, self.num_shards)
        width = part.shape[1]
        return torch.cat([part, *(self.group.receive((self._size_of(r), width), r) for r in others)])

    def _size_of(self, shard: int) -> int:
        rows = self.rows_of(shard)
        return int(rows.stop - rows.start)


TABLE: Final = "adapter.local_items"
"""Of the parameters of a market model, those of which each shard has rows of its own."""


def _table_of(model: SequenceModel) -> nn.Parameter | None:
    return model.get_parameter(TABLE) if isinstance(model, MarketModel) else None


class _LookUp(torch.autograd.Function):
    """Gather rows of a table that is divided by rows; going back, every row gets all of its gradients."""

    @staticmethod
    def forward(ctx: Any, items: Tensor, sequences: Tensor, shard: Shard) -> Tensor:
        rows = shard.rows
        own = (sequences >= rows.start) & (sequences < rows.stop)  # [B, L]
        places = (sequences - rows.start)[own]  # [M]
        inputs = items.new_zeros(*sequences.shape, items.shape[1])  # [B, L, D]
        inputs[own] = items[places]
        ctx.save_for_backward(own, places)
        ctx.shard, ctx.num_rows = shard, len(items)
        return shard.group.add_up(inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_inputs: Tensor) -> tuple[Tensor, None, None]:
        own, places = ctx.saved_tensors
        summed = ctx.shard.group.add_up(grad_inputs.contiguous().clone())
        grad_items = summed.new_zeros(ctx.num_rows, summed.shape[2])
        return grad_items.index_add_(0, places, summed[own]), None, None
