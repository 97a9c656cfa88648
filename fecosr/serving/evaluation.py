"""The figures of a market model over its whole catalogue, and where in the catalogue they come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fecosr.data.sequences import ItemArray, MarketSequences
from fecosr.recommender.metrics import RankingMetrics, metrics_of_ranks
from fecosr.serving.market_model import ServedModel
from fecosr.training.evaluation import Part, Scorer, model_scorer, ranks
from fecosr.training.prepared import PreparedMarket, prepare_without_semantics

NUM_GROUPS = 10

Advance = Callable[[int], None]
"""Is told how many more users are done."""


@dataclass(frozen=True, slots=True)
class GroupMetrics:
    """Hold the metrics of the users whose target is in one group of items.

    Attributes:
        group: "1" holds the tenth of the items that occur most in training, "10" that which occurs least;
            "cold" the items that do not occur in training, whichever tenth they are in, "warm" all others.
        num_items: in the group.
        metrics: of these users.
    """

    group: str
    num_items: int
    metrics: RankingMetrics


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Hold the metrics of a model, over all users and by the popularity of their targets."""

    overall: RankingMetrics
    groups: tuple[GroupMetrics, ...]


def evaluate_model(
    served: ServedModel,
    data: MarketSequences,
    part: Part,
    *,
    history_filtered: bool,
    advance: Advance,
) -> Evaluation:
    """Return the model's full-ranking metrics; on the data of its training, those of the node's report.

    Args:
        served: the model.
        data: over the model's catalogue.
        part: "validation" or "test" targets.
        history_filtered: leave items a user has already bought out of the ranking.
        advance: is told how many more users are done.
    """
    prepared = prepared_market(served, data)
    score = model_scorer(served.model, prepared)

    def watched(histories: Sequence[ItemArray]) -> npt.NDArray[np.float32]:
        scores = score(histories)
        advance(len(histories))
        return scores

    found = ranks(watched, prepared, part, history_filtered=history_filtered)
    is_test = part == "test"
    targets = prepared.split.test_target if is_test else prepared.split.validation_target
    return Evaluation(metrics_of_ranks(found), _by_popularity(prepared, targets, found))


def scorer_of(served: ServedModel) -> Scorer:
    """Return a function that scores all items for users with given histories."""
    nobody = MarketSequences(served.facts.market, served.catalogue.items, (), ())
    return model_scorer(served.model, prepared_market(served, nobody))


def prepared_market(served: ServedModel, data: MarketSequences) -> PreparedMarket:
    """Return `data` with the semantic vectors that are stored with the model."""
    return replace(
        prepare_without_semantics(data),
        semantics=served.semantics,
        semantics_source=served.facts.semantics.source,
    )


def _by_popularity(
    prepared: PreparedMarket, targets: ItemArray, found: npt.NDArray[np.int64]
) -> tuple[GroupMetrics, ...]:
    counts = np.zeros(prepared.num_items, np.int64)  # [V]
    for sequence in prepared.split.train:
        np.add.at(counts, sequence, 1)
    # Of items that occur equally often, the one with the lower number counts as the more popular.
    order = np.argsort(-counts, kind="stable")
    tenth = np.empty(prepared.num_items, np.int64)  # [V]
    tenth[order] = np.arange(prepared.num_items) * NUM_GROUPS // max(1, prepared.num_items)
    masks = {str(number + 1): tenth == number for number in range(NUM_GROUPS)}
    masks |= {"warm": counts > 0, "cold": counts == 0}
    of_users = targets[prepared.split.evaluated_users]  # [U]
    return tuple(
        GroupMetrics(name, int(mask.sum()), metrics_of_ranks(found[mask[of_users]]))
        for name, mask in masks.items()
    )
