"""What every method of a comparison is given: the same markets, settings and seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch

from fecosr.data.catalogue import Catalogue
from fecosr.data.sequences import MarketSequences
from fecosr.harness.compare.federation import Pretrained
from fecosr.harness.compare.settings import ComparisonSettings
from fecosr.recommender.semantics import NO_ACCESS, EmbeddingAccess, FloatArray
from fecosr.training.devices import torch_device
from fecosr.training.prepared import PreparedMarket, prepare
from fecosr.training.settings import Device
from fecosr.training.sketch import sketch_of_market

Advance = Callable[[str, int, int], None]
"""Be told what is going on, and how many of how many steps of it are over."""


def ignore_advance(activity: str, done: int, total: int) -> None:
    """Do nothing with a report."""
    del activity, done, total


class Stages(Protocol):
    """Keep pretraining that several methods share, so that it is done once."""

    def pretrained(self, name: str, make: Callable[[], Pretrained]) -> Pretrained:
        """Return what `make` made under this name, now or earlier."""


class StagesInMemory:
    """Keep stages as long as this object lives."""

    def __init__(self) -> None:
        self._made: dict[str, Pretrained] = {}

    def pretrained(self, name: str, make: Callable[[], Pretrained]) -> Pretrained:
        """Return what `make` made under this name, now or earlier."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Hold one variant of the data under one seed.

    Attributes:
        markets: ready for training, by name, largest first.
        alone: the same markets with nothing that came from another one: where semantic vectors are made from
            behaviour, each market's from its own users.
        catalogues: the items behind the numbers, by market; only methods that break isolation may compare
            them.
        settings: of all methods.
        seed: with the names of method and market it decides everything random.
        stages: shared between the methods of this study.
        advance: is told how far a method is.
    """

    markets: Mapping[str, PreparedMarket] = field(repr=False)
    alone: Mapping[str, PreparedMarket] = field(repr=False)
    catalogues: Mapping[str, Catalogue] = field(repr=False)
    settings: ComparisonSettings
    seed: int
    stages: Stages = field(default_factory=StagesInMemory, repr=False)
    advance: Advance = field(default=ignore_advance, repr=False)

    @property
    def largest(self) -> str:
        """Return the market with most users."""
        return next(iter(self.markets))

    @property
    def device(self) -> torch.device:
        """Return where all markets are trained and evaluated."""
        return self.markets[self.largest].device

    def only(self, name: str) -> "Study":
        """Return this study with one market alone."""
        alone = {name: self.alone[name]}
        return replace(self, markets=alone, alone=alone, catalogues={name: self.catalogues[name]})


def prepare_study(
    data: Mapping[str, MarketSequences],
    settings: ComparisonSettings,
    seed: int,
    *,
    stages: Stages | None = None,
    advance: Advance = ignore_advance,
    access: EmbeddingAccess = NO_ACCESS,
    device: Device = "cpu",
) -> Study:
    """Return the study of some markets under a seed, largest market first.

    Everything but counting happens on `device`.

    Where the settings want titles and no market has any, semantic vectors are made from behaviour.
    """
    where = torch_device(device)
    names = sorted(data, key=lambda name: (-data[name].num_users, name))
    semantics = settings.semantics
    if semantics.kind == "hashed_ngrams" and all(data[name].catalogue.titles is None for name in names):
        semantics = replace(semantics, kind="behaviour")
    sketches = {
        name: sketch_of_market(data[name], semantics) for name in names if semantics.kind == "behaviour"
    }
    total = np.sum(list(sketches.values()), axis=0) if sketches else None

    def prepared(name: str, sketch: FloatArray | None) -> PreparedMarket:
        return prepare(data[name], semantics, settings.s2ce, sketch, access=access).on(where)

    markets = {name: prepared(name, total) for name in names}
    alone = {name: prepared(name, sketches[name]) for name in names} if sketches else markets
    return Study(
        markets=markets,
        alone=alone,
        catalogues={name: data[name].catalogue for name in names},
        settings=settings,
        seed=seed,
        stages=stages or StagesInMemory(),
        advance=advance,
    )
