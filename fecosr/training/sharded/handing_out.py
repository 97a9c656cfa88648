"""How shard 0 hands a prepared market out: to each the sequences, and its own rows of the catalogue."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fecosr.data.sequences import Split
from fecosr.recommender.soft_targets import SoftTargets, hard_targets
from fecosr.training.prepared import PreparedMarket
from fecosr.training.sharded.group import ShardGroup
from fecosr.training.sharded.shard import Shard


def hand_out(shard: Shard, data: PreparedMarket) -> PreparedMarket:
    """Give every other shard its part of a market, and return that of shard 0."""
    group = shard.group
    name = torch.from_numpy(np.frombuffer(data.market.encode(), np.uint8).copy())
    train = data.split.train
    lengths = torch.tensor([len(sequence) for sequence in train])
    for tensor in (
        name,
        torch.tensor(data.semantics.shape),
        lengths,
        torch.from_numpy(np.concatenate(train).astype(np.int64)),
        torch.from_numpy(data.split.validation_target.astype(np.int64)),
        torch.from_numpy(data.split.test_target.astype(np.int64)),
        *_tensors_of(data.soft),
    ):
        group.from_first(tensor)
    for other in range(1, group.num_shards):
        group.send(data.semantics[shard.rows_of(other)], other)
    return replace(
        data,
        semantics=data.semantics[shard.rows],
        soft=shard.targets_of(data.soft),
        hard=shard.targets_of(data.hard),
        shard=shard,
    )


def receive(group: ShardGroup) -> tuple[PreparedMarket, Shard]:
    """Return this shard's part of the market that shard 0 hands out, and which part that is."""
    name, shape, lengths, items, validation, test = (group.from_first(None) for _ in range(6))
    soft = _soft_targets([group.from_first(None) for _ in range(3)])
    num_items, width = shape.tolist()
    shard = Shard(group, num_items)
    ends = np.cumsum(lengths.numpy())[:-1]
    train = tuple(np.split(items.numpy().astype(np.int32), ends))
    split = Split(train, validation.numpy().astype(np.int32), test.numpy().astype(np.int32))
    rows = shard.rows
    data = PreparedMarket(
        market=name.numpy().tobytes().decode(),
        num_items=num_items,
        split=split,
        semantics=group.receive((rows.stop - rows.start, width), 0),
        semantics_source="",
        soft=shard.targets_of(soft),
        hard=shard.targets_of(hard_targets(num_items)),
        shard=shard,
    )
    return data, shard


def _tensors_of(soft: SoftTargets) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three parts of soft targets; an empty one is not there."""
    items = torch.empty(0, dtype=torch.int64) if soft.items is None else soft.items
    return soft.shares, items, torch.empty(0) if soft.uniform is None else soft.uniform


def _soft_targets(tensors: list[Tensor]) -> SoftTargets:
    shares, items, uniform = tensors
    return SoftTargets(shares, items if items.numel() else None, uniform if uniform.numel() else None)
