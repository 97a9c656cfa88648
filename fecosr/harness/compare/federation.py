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
from fecosr.federation.aggregation import parameters_hash, weight_of
from fecosr.federation.ending import Schedule
from fecosr.federation.messages import Release
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


Measure = Callable[[str, FloatVector], float]
"""Return NDCG@10 of the shared parameters on market `name`'s own validation users."""


@dataclass(frozen=True, slots=True, eq=False)
class Pretrained:
    """Hold what a federation ends with.

    Attributes:
        parameters: float32 [P], the final shared parameters: those of the last round or, with early stopping,
            those with the best validation metric.
        rounds: what was measured in each round.
    """

    parameters: FloatVector = field(repr=False)
    rounds: tuple[RoundMeasures, ...]


def federate(
    markets: Iterable[str],
    initial: FloatVector,
    work: Work,
    *,
    schedule: Schedule,
    aggregation: AggregationSection,
    measure: Measure | None = None,
    round_done: RoundDone = lambda _done, _total: None,
) -> Pretrained:
    """Return the final parameters of a run in which every market takes part in every round.

    Nodes: measure the shared parameters if the run may end early, train from them, clip the update.
    Secure aggregation: adds weight * update, weight * metric and weight over the markets.
    Coordinator: divides by the sum of weights, takes the server step, ends the run when its schedule says so.
    """
    names = tuple(markets)
    parameters, measures, released = initial, list[RoundMeasures](), list[Release]()
    state = aggregation.server.init(len(initial))
    candidates: dict[int, FloatVector] = {}
    while schedule.ended_after(released) is None:
        number = len(released) + 1
        metrics = {name: measure(name, parameters) for name in names} if measure else None
        results = {name: work(name, parameters, number) for name in names}
        updates = {name: clip(results[name].update, aggregation.update_bound()) for name in names}
        weights = {name: _weight(results[name].num_users, aggregation) for name in names}
        losses = {name: results[name].loss for name in names}
        measures.append(measure_round(number, updates, weights, losses, metrics))
        step = aggregation.server.apply(parameters, weighted_mean(updates, weights), state)
        parameters, state = step.parameters, step.state
        released.append(Release(parameters_hash(parameters), measures[-1].validation))
        # The newest model can still become the best; all others are either the best or out of the question.
        candidates = {
            kept: model
            for kept, model in {**candidates, number: parameters}.items()
            if kept in {schedule.final_round(released), number}
        }
        round_done(number, schedule.rounds)
    return Pretrained(candidates[schedule.final_round(released)], tuple(measures))


def weighted_mean(updates: Mapping[str, FloatVector], weights: Mapping[str, float]) -> FloatVector:
    """Return `sum of weight * update / sum of weights`, added in float64, as float32 [P]."""
    total = sum(weights.values())
    mean = sum(weights[name] * update.astype(np.float64) for name, update in updates.items()) / total
    return np.asarray(mean, dtype=np.float32)


def _weight(num_users: int, aggregation: AggregationSection) -> float:
    return weight_of(
        num_users, reference_num_users=aggregation.reference_num_users, exponent=aggregation.weight_exponent
    )
