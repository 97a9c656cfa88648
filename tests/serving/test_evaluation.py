"""The figures are those of the training's own evaluation, and its parts add up to the whole."""

import numpy as np
import pytest

from fecosr.data.sequences import MarketSequences
from fecosr.recommender.metrics import metrics_of_ranks
from fecosr.serving.evaluation import evaluate_model, prepared_market
from fecosr.serving.market_model import ServedModel
from fecosr.serving.trained import figures
from fecosr.training.evaluation import Part, model_scorer, ranks


def test_the_figures_are_those_that_stand_with_the_model(
    served: ServedModel, market: MarketSequences
) -> None:
    done: list[int] = []
    test = evaluate_model(served, market, "test", history_filtered=True, advance=done.append)
    assert figures(test.overall) == served.facts.metrics.test
    assert test.overall.num_users == served.facts.metrics.users == sum(done)
    validation = evaluate_model(
        served, market, "validation", history_filtered=True, advance=lambda _: None
    ).overall
    assert figures(validation) == served.facts.metrics.validation


@pytest.mark.parametrize("part", ["validation", "test"])
def test_groups_of_items_part_the_users_among_them(
    served: ServedModel, market: MarketSequences, part: Part
) -> None:
    evaluation = evaluate_model(served, market, part, history_filtered=False, advance=lambda _: None)
    groups = {group.group: group for group in evaluation.groups}
    tenths = [groups[str(number)] for number in range(1, 11)]
    for names in (tenths, [groups["cold"], groups["warm"]]):
        assert sum(group.num_items for group in names) == market.num_items
        assert sum(group.metrics.num_users for group in names) == evaluation.overall.num_users
        mean = sum(group.metrics.mrr * group.metrics.num_users for group in names)
        assert mean / evaluation.overall.num_users == pytest.approx(evaluation.overall.mrr)
    assert {group.num_items for group in tenths} <= {9, 10}
    assert groups["cold"].num_items == int((~served.catalogue.in_training).sum()) > 0


def test_cold_targets_are_those_nobody_had_in_training(served: ServedModel, market: MarketSequences) -> None:
    evaluation = evaluate_model(served, market, "test", history_filtered=True, advance=lambda _: None)
    prepared = prepared_market(served, market)
    trained = {int(item) for sequence in prepared.split.train for item in sequence}
    is_cold = np.array([int(target) not in trained for target in prepared.split.test_target])
    found = ranks(model_scorer(served.model, prepared), prepared, "test")
    (cold,) = (group for group in evaluation.groups if group.group == "cold")
    assert cold.metrics == metrics_of_ranks(found[is_cold])
