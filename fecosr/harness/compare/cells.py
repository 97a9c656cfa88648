"""One cell of a comparison: one method, one variant of the data, one seed, down to every user's rank."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.harness.compare.heterogeneity import RoundMeasures
from fecosr.harness.compare.method import Method
from fecosr.harness.compare.study import Study
from fecosr.harness.compare.variants import Variant
from fecosr.training.evaluation import Scorer, ranks
from fecosr.training.prepared import PreparedMarket

RankArray = npt.NDArray[np.int32]

FILTERED: Final = "filtered"
UNFILTERED: Final = "unfiltered"
VALIDATION: Final = "validation"
COLUMNS: Final = (FILTERED, UNFILTERED, VALIDATION)
"""Test ranks without and with the items a user already has, and validation ranks without them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Name one cell."""

    method: str
    variant: Variant
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class CellResult:
    """Hold what a cell came to.

    Attributes:
        ranks: per market and column the rank of each evaluated user's target, int32 [U].
        rounds: what was measured in each federated round.
        seconds: that training and evaluation took; shared pretraining counts where it was done.
    """

    ranks: Mapping[str, Mapping[str, RankArray]] = field(repr=False)
    rounds: tuple[RoundMeasures, ...]
    seconds: float


def run_cell(method: Method, study: Study) -> CellResult:
    """Train a method and rank every user's targets in every market."""
    started = time.monotonic()
    trained = method.train(study)
    found = {}
    for number, (name, data) in enumerate(study.markets.items()):
        study.advance("evaluation", number, len(study.markets))
        found[name] = _ranks(trained.scorers[name], data)
    return CellResult(found, trained.rounds, time.monotonic() - started)


def _ranks(scorer: Scorer, data: PreparedMarket) -> dict[str, RankArray]:
    found = {
        FILTERED: ranks(scorer, data, "test"),
        UNFILTERED: ranks(scorer, data, "test", history_filtered=False),
        VALIDATION: ranks(scorer, data, "validation"),
    }
    return {column: of_users.astype(np.int32) for column, of_users in found.items()}
