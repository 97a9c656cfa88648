"""The markets an audit trains on: generated ones, and in the first of them canaries.

A canary is a user like any other to all of the training code. It has bought one item again and again that
nobody else has, so its gradient has a direction of its own.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.audit.empirical.terms import Effort, Terms
from fecosr.data.catalogue import Catalogue
from fecosr.data.sequences import ItemArray, MarketSequences, load_market
from fecosr.data.settings import DataSettings, SyntheticSettings
from fecosr.ids import NodeId
from fecosr.training.market import MarketLearner

_CANARY_LENGTH: Final = 5
"""Items of a canary: two stay out of the training, as everybody's last two do."""
_NUM_ITEMS: Final = 80
"""Of every market, those of canaries aside."""


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Hold everybody whose data a run may touch.

    Attributes:
        ordinary: every market without canaries; the first has their items in its catalogue, for a catalogue
            is public.
        canaries: what each canary has bought, in items of the first market.
    """

    ordinary: tuple[MarketSequences, ...]
    canaries: tuple[ItemArray, ...] = field(repr=False)

    def with_canaries(self, included: npt.NDArray[np.bool_]) -> tuple[MarketSequences, ...]:
        """Return the markets with those canaries in the first whose coin, bool [m], says so."""
        first, *others = self.ordinary
        chosen = [canary for canary, is_in in zip(self.canaries, included, strict=True) if is_in]
        names = tuple(f"zz-canary-{number:05}" for number in range(len(chosen)))
        joined = MarketSequences(
            first.market, first.catalogue, (*first.user_ids, *names), (*first.sequences, *chosen)
        )
        return joined, *others


def generate(terms: Terms, effort: Effort) -> Population:
    """Return generated markets, alike but for their names, and `num_canaries` canaries."""
    markets = [_market(name, effort) for name in terms.markets]
    first, canaries = _with_items_of_canaries(markets[0], effort.num_canaries)
    return Population((first, *markets[1:]), canaries)


def _market(name: NodeId, effort: Effort) -> MarketSequences:
    synthetic = SyntheticSettings(
        seed=effort.seed, num_users=effort.num_users, num_items=_NUM_ITEMS, num_categories=8, num_topics=2
    )
    return load_market(DataSettings(kind="synthetic", market=name, min_core=1, synthetic=synthetic))


def _with_items_of_canaries(
    market: MarketSequences, num_canaries: int
) -> tuple[MarketSequences, tuple[ItemArray, ...]]:
    own = tuple(f"zz-item-{number:05}" for number in range(num_canaries))
    titles = market.catalogue.titles
    catalogue = Catalogue((*market.catalogue.item_ids, *own), None if titles is None else (*titles, *own))
    joined = MarketSequences(market.market, catalogue, market.user_ids, market.sequences)
    first = market.num_items
    return joined, tuple(
        np.full(_CANARY_LENGTH, first + number, dtype=np.int32) for number in range(num_canaries)
    )


def as_trained(sequences: Sequence[ItemArray]) -> tuple[ItemArray, ...]:
    """Return what training reads of each user: all but the targets of validation and test."""
    return tuple(sequence[:-2] if len(sequence) > 2 else sequence for sequence in sequences)


def without(sequences: Sequence[ItemArray], user: int) -> tuple[ItemArray, ...]:
    """Return the sequences with that of one user emptied: nobody else's coins become other ones."""
    return tuple(sequence[:0] if place == user else sequence for place, sequence in enumerate(sequences))


def with_training_users(learner: MarketLearner, train: tuple[ItemArray, ...]) -> MarketLearner:
    """Return the same market with other users to train on."""
    changed = copy.copy(learner)
    changed.data = replace(learner.data, split=replace(learner.data.split, train=train))
    return changed
