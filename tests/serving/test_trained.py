"""What a learner has made becomes a model to serve, wherever it was made."""

import numpy as np
import pytest
import torch

from fecosr.data.sequences import MarketSequences, split_leave_one_out
from fecosr.recommender.metrics import RankingMetrics
from fecosr.serving.evaluation import evaluate_model
from fecosr.serving.market_model import ServedModel
from fecosr.serving.trained import figures, served_model
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import initial_shared_vector
from tests.reference.trained_market import DATA, LEARNING, ORIGIN


def test_facts_are_those_of_the_training(served: ServedModel, market: MarketSequences) -> None:
    facts = served.facts
    assert (facts.data.users, facts.data.items) == (market.num_users, market.num_items)
    assert facts.data.interactions == market.num_interactions
    assert facts.training.learning == LEARNING
    assert facts.origin == ORIGIN
    assert (facts.semantics.source, facts.semantics.has_text) == ("titles", True)
    assert facts.software.versions.keys() == {"fecosr", "python", "torch", "numpy", "polars", "safetensors"}
    assert (facts.software.device, facts.software.num_threads) == ("cpu", torch.get_num_threads())


def test_items_are_in_training_when_a_training_sequence_has_them(
    served: ServedModel, market: MarketSequences
) -> None:
    trained = {int(item) for sequence in split_leave_one_out(market).train for item in sequence}
    assert set(np.flatnonzero(served.catalogue.in_training).tolist()) == trained


def test_without_titles_the_facts_say_that_vectors_have_no_text(untitled: ServedModel) -> None:
    assert not untitled.facts.semantics.has_text
    assert untitled.facts.semantics.source.startswith("item ids")


def test_the_model_to_serve_is_a_copy_that_is_done_with_training(market: MarketSequences) -> None:
    learner = MarketLearner(market, LEARNING, seed=1)
    tuned = learner.fine_tune(initial_shared_vector(LEARNING.encoder, LEARNING.semantics, seed=1))
    tuned.model.train()
    nothing = RankingMetrics(0, 0.0, 0.0, 0.0)
    served = served_model(learner, market, tuned, nothing, origin=ORIGIN, settings=DATA)
    before = served.model.adapter.gate.clone()
    with torch.no_grad():
        tuned.model.adapter.gate.zero_()
    assert torch.equal(served.model.adapter.gate, before)
    assert not served.model.training


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_model_trained_on_a_gpu_is_served_by_the_processor(market: MarketSequences) -> None:
    learner = MarketLearner(market, LEARNING, seed=1, device="cuda")
    tuned = learner.fine_tune(initial_shared_vector(LEARNING.encoder, LEARNING.semantics, seed=1))
    test = learner.evaluate(tuned.model)
    served = served_model(learner, market, tuned, test, origin=ORIGIN, settings=DATA)
    assert served.facts.software.device == "cuda"
    assert {value.device.type for value in served.model.state_dict().values()} == {"cpu"}
    again = evaluate_model(served, market, "test", history_filtered=True, advance=lambda _: None)
    assert figures(again.overall) == pytest.approx(figures(test), abs=0.05)
