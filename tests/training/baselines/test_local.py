import numpy as np
import torch

from fecosr.training.baselines.local import train_alone
from fecosr.training.baselines.popularity import evaluate_popularity
from fecosr.training.evaluation import evaluate
from fecosr.training.fine_tuning import FineTuned
from fecosr.training.parameters import flatten
from fecosr.training.prepared import PreparedMarket
from fecosr.training.settings import LearningSettings


def alone(prepared: PreparedMarket, settings: LearningSettings, seed: int) -> FineTuned:
    return train_alone(prepared, settings.encoder, settings.adapter, settings.local_baseline, seed=seed)


def test_it_learns_more_than_popularity(prepared: PreparedMarket, settings: LearningSettings) -> None:
    trained = alone(prepared, settings, seed=0)
    assert trained.best_epoch > 0
    learned = evaluate(trained.model, prepared, "test")
    assert learned.ndcg_10 > evaluate_popularity(prepared, "test").ndcg_10 + 0.05


def test_it_has_an_item_table_of_its_own(prepared: PreparedMarket, settings: LearningSettings) -> None:
    trained = alone(prepared, settings, seed=0)
    assert trained.model.adapter.local_items.shape == (24, 16)
    assert trained.model.adapter.local_items.abs().max() > 0.0


def test_it_depends_on_the_seed_alone(prepared: PreparedMarket, settings: LearningSettings) -> None:
    first = flatten(alone(prepared, settings, seed=0).model)
    torch.manual_seed(4)
    np.testing.assert_array_equal(flatten(alone(prepared, settings, seed=0).model), first)
    assert not np.array_equal(flatten(alone(prepared, settings, seed=1).model), first)
