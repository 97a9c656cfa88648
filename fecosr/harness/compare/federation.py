"""The rounds of a federation in one process: clip, weigh, average, step. No masks, because nobody listens.

The functions are those of the real parties (`fecosr.privacy.clipping`, `fecosr.federation.aggregation`), so a
round here gives what a round of the protocol gives with all markets present, up to the stochastic rounding of
its encoding: each coordinate of a sum is off by less than one unit per market.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from fecosr.config.plan import AggregationSection
from fecosr.federation.aggregation import weight_of
from fecosr.harness.compare.heterogeneity import RoundMeasures, measure_round
from fecosr.privacy.clipping import clip
from fecosr.training.parameters import FloatVector


class Contribution(Protocol):
    """Be what one market's work in a round yields; `fecosr.training.local.LocalResult` is one."""

    @property
    def update(self) -> FloatVector:
        """Return float32 [P], trained minus received parameters."""

    @property
    def num_users(self) -> int:
        """Return how many users it was trained on."""

    @property
    def loss(self) -> float:
        """Return the mean training loss."""


Work = Callable[[str, FloatVector, int], Contribution]
"""Train market `name` from the shared parameters in round `number`."""
RoundDone = Callable[[int, int], None]
"""Be told that so many of so many rounds are over."""


@dataclass(frozen=True, slots=True, eq=False)
class Pretrained:
    """Hold what a federation ends with.

    Attributes:
        parameters: float32 [P], the final shared parameters.
        rounds: what was measured in each round.
    """

    parameters: FloatVector = field(repr=False)
    rounds: tuple[RoundMeasures, ...]


def federate(
    markets: Iterable[str],
    initial: FloatVector,
    work: Work,
    *,
    rounds: int,
    aggregation: AggregationSection,
    round_done: RoundDone = lambda _done, _total: None,
) -> Pretrained:
    """Return the parameters after all rounds, every market taking part in each.

    Nodes: train from the shared parameters and clip the update.
    Secure aggregation: adds weight * update and weight over the markets.
    Coordinator: divides the two sums and takes the server step.
    """
    names = tuple(markets)
    parameters, measures = initial, []
    state = aggregation.server.init(len(initial))
    for number in range(1, rounds + 1):
        results = {name: work(name, parameters, number) for name in names}
        updates = {name: clip(results[name].update, aggregation.clip_norm) for name in names}
        weights = {name: _weight(results[name].num_users, aggregation) for name in names}
        losses = {name: results[name].loss for name in names}
        measures.append(measure_round(number, updates, weights, losses))
        mean_update = weighted_mean(updates, weights)
        step = aggregation.server.apply(parameters, mean_update, state)
        parameters, state = step.parameters, step.state
        round_done(number, rounds)
    return Pretrained(parameters, tuple(measures))


def weighted_mean(updates: Mapping[str, FloatVector], weights: Mapping[str, float]) -> FloatVector:
    """Return `sum of weight * update / sum of weights`, added in float64, as float32 [P]."""
    total = sum(weights.values())
    mean = sum(weights[name] * update.astype(np.float64) for name, update in updates.items()) / total
    return np.asarray(mean, dtype=np.float32)


def _weight(num_users: int, aggregation: AggregationSection) -> float:
    return weight_of(
        num_users, reference_num_users=aggregation.reference_num_users, exponent=aggregation.weight_exponent
    )
