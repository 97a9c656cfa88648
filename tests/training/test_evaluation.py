from collections.abc import Sequence

import numpy as np
import pytest
import torch

from fecosr.data.sequences import ItemArray
from fecosr.recommender.model import SharedModel
from fecosr.training.evaluation import Part, evaluate, model_scorer, ranks
from fecosr.training.parameters import new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.settings import LearningSettings


@pytest.fixture
def model(settings: LearningSettings) -> SharedModel:
    return new_shared_model(settings.encoder, settings.semantics, seed=1)


def next_on_the_circle(histories: Sequence[ItemArray]) -> np.ndarray:
    scores = np.zeros((len(histories), 24), np.float32)
    for row, history in enumerate(histories):
        for step in range(24):
            scores[row, (history[-1] + step) % 24] = -step if step else -100
    return scores


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_scorer_that_knows_the_pattern_ranks_targets_first_or_second(
    prepared: PreparedMarket, part: Part
) -> None:
    """Every target is one or two steps ahead; this fails when a target or history is off by one position."""
    found = ranks(next_on_the_circle, prepared, part, history_filtered=False)
    assert set(found.tolist()) == {1, 2}


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("history_filtered", [True, False])
def test_model_ranks_agree_with_one_user_at_a_time(
    prepared: PreparedMarket, model: SharedModel, part: Part, *, history_filtered: bool
) -> None:
    found = ranks(model_scorer(model, prepared), prepared, part, history_filtered=history_filtered)
    model.eval()
    items = model.item_inputs(prepared.semantics)
    for place, user in enumerate(prepared.split.evaluated_users):
        history = prepared.split.train[user].tolist()
        target = int(prepared.split.validation_target[user])
        if part == "test":
            history, target = [*history, target], int(prepared.split.test_target[user])
        recent = torch.tensor([history[-8:]])
        scores = (model.states(items, recent)[0, -1] @ items.T).tolist()
        skipped = set(history) if history_filtered else set()
        better = [v for v in range(24) if v != target and v not in skipped and scores[v] >= scores[target]]
        assert found[place] == 1 + len(better)


def test_the_model_is_left_in_the_mode_it_came_in(prepared: PreparedMarket, model: SharedModel) -> None:
    model.train()
    first = evaluate(model, prepared, "test")
    assert model.training
    model.eval()
    assert evaluate(model, prepared, "test") == first
    assert not model.training


def test_users_too_short_to_be_evaluated_are_left_out(prepared: PreparedMarket, model: SharedModel) -> None:
    prepared.split.test_target[3] = -1
    prepared.split.validation_target[3] = -1
    assert evaluate(model, prepared, "test").num_users == 59
