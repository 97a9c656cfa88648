import numpy as np

from fecosr.data.sequences import MarketSequences
from fecosr.recommender.semantics import SOURCE_IDENTIFIERS
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import initial_shared_vector
from fecosr.training.settings import LearningSettings


def test_one_market_from_first_round_to_evaluation(
    market: MarketSequences, settings: LearningSettings
) -> None:
    learner = MarketLearner(market, settings, seed=5)
    assert learner.semantics_source == SOURCE_IDENTIFIERS
    shared = initial_shared_vector(settings.encoder, settings.semantics, seed=5)
    start = learner.evaluate_shared(shared, "validation")
    for round_number in range(1, 9):
        shared = shared + learner.train_round(shared, round_number).update
    trained = learner.evaluate_shared(shared, "validation")
    assert trained.ndcg_10 > start.ndcg_10 + 0.05
    tuned = learner.fine_tune(shared)
    assert tuned.validation.ndcg_10 >= trained.ndcg_10
    metrics = learner.evaluate(tuned.model)
    assert metrics.num_users == 60
    assert metrics.ndcg_10 > learner.evaluate_popularity().ndcg_10


def test_a_restarted_node_repeats_its_round(market: MarketSequences, settings: LearningSettings) -> None:
    shared = initial_shared_vector(settings.encoder, settings.semantics, seed=5)
    first = MarketLearner(market, settings, seed=5)
    first.train_round(shared, 1)
    again = MarketLearner(market, settings, seed=5)
    np.testing.assert_array_equal(first.train_round(shared, 2).update, again.train_round(shared, 2).update)


def test_the_local_baseline_runs_on_the_same_targets(
    market: MarketSequences, settings: LearningSettings
) -> None:
    learner = MarketLearner(market, settings, seed=5)
    trained = learner.train_alone()
    assert learner.evaluate(trained.model).num_users == learner.evaluate_popularity().num_users == 60
