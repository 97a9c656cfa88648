"""One market's data in the form training reads it: split, semantic vectors, soft targets."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fecosr.data.sequences import MarketSequences, Split, split_leave_one_out
from fecosr.recommender.semantics import NO_ACCESS, EmbeddingAccess, FloatArray, catalogue_semantics
from fecosr.recommender.settings import S2CESettings, SemanticsSettings
from fecosr.recommender.soft_targets import SoftTargets, hard_targets, semantic_targets
from fecosr.training.sharded.shard import Shard

_FEWEST_STEPS = 40
"""Optimiser steps of an epoch, as far as batches do not become smaller than the next."""

_SMALLEST_BATCH = 4


@dataclass(frozen=True, slots=True, eq=False)
class PreparedMarket:
    """Hold what every kind of training and evaluation in one market reads and none of them changes.

    Attributes:
        market: the market's name; part of every seed.
        num_items: V.
        split: train, validation and test of every user.
        semantics: float32 [V, Z], frozen.
        semantics_source: what the semantic vectors were made from, in words for a report.
        soft: S2CE targets of every item.
        hard: cross-entropy targets of every item.
        shard: where this process holds a part of the catalogue's rows only: `semantics` are theirs then, and
            so are the columns of `soft` and `hard`.
    """

    market: str
    num_items: int
    split: Split = field(repr=False)
    semantics: Tensor = field(repr=False)
    semantics_source: str
    soft: SoftTargets = field(repr=False)
    hard: SoftTargets = field(repr=False)
    shard: Shard | None = None

    @property
    def device(self) -> torch.device:
        """Return where the market is trained; models are taken there, sequences follow batch by batch."""
        return self.semantics.device

    def batch_size(self, most: int) -> int:
        """Return how many sequences make a batch: `most`, or so few that an epoch takes enough steps.

        A market of two hundred users would otherwise take four steps where one of five thousand takes eighty,
        and learn accordingly little in the same number of epochs or rounds.
        """
        num_sequences = sum(len(sequence) >= 2 for sequence in self.split.train)
        return max(min(most, _SMALLEST_BATCH), min(most, num_sequences // _FEWEST_STEPS))

    def on(self, device: torch.device) -> "PreparedMarket":
        """Return the same market, to be trained on `device`."""
        return replace(
            self,
            semantics=self.semantics.to(device),
            soft=self.soft.to(device),
            hard=self.hard.to(device),
        )


def prepare_without_semantics(data: MarketSequences) -> PreparedMarket:
    """Return `data` for models that know items by their number alone; `semantics` is [V, 0]."""
    hard = hard_targets(data.num_items)
    return PreparedMarket(
        market=data.market,
        num_items=data.num_items,
        split=split_leave_one_out(data),
        semantics=torch.zeros(data.num_items, 0),
        semantics_source="none",
        soft=hard,
        hard=hard,
    )


def prepare(
    data: MarketSequences,
    semantics: SemanticsSettings,
    s2ce: S2CESettings,
    sketches: FloatArray | None = None,
    *,
    access: EmbeddingAccess = NO_ACCESS,
) -> PreparedMarket:
    """Return `data` split and with its semantics, neighbours and soft targets computed, once and for all.

    Args:
        data: the market.
        semantics: what vectors are made from.
        s2ce: what soft targets are made of them.
        sketches: the sum of all markets' sketches, where vectors are made from behaviour.
        access: how this machine gets at an embedding, where vectors are made with one.

    Raises:
        ConfigError: the embedding, the titles or the vectors it needs are not there.
        MisuseError: there are no sketches where they are needed.
    """
    catalogue = data.catalogue
    items = catalogue_semantics(catalogue.item_ids, catalogue.titles, semantics, sketches, access=access)
    return PreparedMarket(
        market=data.market,
        num_items=data.num_items,
        split=split_leave_one_out(data),
        semantics=torch.from_numpy(items.vectors),
        semantics_source=items.source,
        soft=semantic_targets(items.vectors, s2ce),
        hard=hard_targets(data.num_items),
    )
