"""What the processes of one node say to each other: gloo on processors, tensors and no objects."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import torch
import torch.distributed as dist
from torch import Tensor

from fecosr.errors import ConfigError, ShardLost

COMPUTING: Final = timedelta(minutes=10)
"""How long a shard may take to come to where the others wait for it, within a step."""

WAITING: Final = timedelta(days=365)
"""How long they wait for shard 0 to want something: between rounds, for other markets."""

_DTYPES: Final = (torch.float32, torch.int64, torch.int32, torch.uint8)
_MAX_DIMENSIONS: Final = 4


class ShardGroup:
    """Be one of the processes that train for a market.

    Every method but `send` and `receive` is called by all of them, in the same order.

    Attributes:
        shard: which one, from 0.
        num_shards: how many there are.

    Raises:
        ShardLost: another process has ended, from any method.
    """

    def __init__(self, shard: int, num_shards: int, computing: dist.ProcessGroup | None) -> None:
        self.shard = shard
        self.num_shards = num_shards
        self._computing = computing

    @classmethod
    def join(cls, shard: int, num_shards: int, plan_hash: bytes) -> "ShardGroup":
        """Meet the others, at the address that torchrun has put into the environment.

        Raises:
            ConfigError: another process has read another plan.
            ShardLost: another process has ended.
        """
        if sys.platform == "linux" and os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE"):
            # All on one machine: nobody outside of it shall reach the ports they use.
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        with _named():
            dist.init_process_group("gloo", timeout=WAITING)
            group = cls(shard, num_shards, dist.new_group(timeout=COMPUTING))
        plans = group.of_all(torch.tensor(list(plan_hash), dtype=torch.uint8))
        if (plans != plans[0]).any():
            raise ConfigError("the processes of this node have different plans", remedy="give all one kit")
        return group

    def leave(self) -> None:
        """Leave the others, once they will leave too."""
        dist.destroy_process_group()

    def add_up(self, tensor: Tensor) -> Tensor:
        """Replace `tensor` by its sum over all shards, the same bits in each, and return it."""
        with _named():
            dist.all_reduce(tensor, group=self._computing)
        return tensor

    def of_all(self, tensor: Tensor) -> Tensor:
        """Return every shard's `tensor`, all of one shape, stacked in their order."""
        found = [torch.empty_like(tensor) for _ in range(self.num_shards)]
        with _named():
            dist.all_gather(found, tensor.contiguous(), group=self._computing)
        return torch.stack(found)

    def from_first(self, tensor: Tensor | None) -> Tensor:
        """Return the tensor that shard 0 gives here; the others give None, and wait as long as it takes."""
        if self.shard == 0 and tensor is not None:
            dimensions = [*tensor.shape, *[0] * (_MAX_DIMENSIONS - tensor.dim())]
            header = torch.tensor([_DTYPES.index(tensor.dtype), tensor.dim(), *dimensions])
        else:
            header = torch.zeros(2 + _MAX_DIMENSIONS, dtype=torch.int64)
        with _named():
            dist.broadcast(header, 0)
            kind, dim, *shape = header.tolist()
            here = torch.empty(shape[:dim], dtype=_DTYPES[kind]) if tensor is None else tensor.contiguous()
            dist.broadcast(here, 0)
        return here

    def send(self, tensor: Tensor, shard: int) -> None:
        """Give a tensor to one other shard, which must know its shape."""
        with _named():
            dist.send(tensor.contiguous(), shard)

    def receive(self, shape: Sequence[int], shard: int) -> Tensor:
        """Return the float32 tensor that another shard sends here."""
        here = torch.empty(*shape)
        with _named():
            dist.recv(here, shard)
        return here


@contextmanager
def _named() -> Iterator[None]:
    """Say in our words what gloo says of a process that is gone."""
    try:
        yield
    except RuntimeError as error:
        lines = str(error).splitlines() or [type(error).__name__]
        # Without the place in gloo's source.
        raise ShardLost(lines[0].rpartition("] ")[2]) from None
