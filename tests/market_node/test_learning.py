from dataclasses import fields, replace

import numpy as np
import pytest
import structlog
from structlog.testing import capture_logs

from fecosr.config.parties import NodeConfig
from fecosr.config.plan import Plan
from fecosr.config.privacy import LocalPrivacySection
from fecosr.crypto.labels import sha256
from fecosr.data.sequences import MarketSequences, load_market
from fecosr.data.settings import DataSettings, SyntheticSettings
from fecosr.federation.messages import RoundManifest
from fecosr.federation.policy import NodePolicy
from fecosr.federation.private_rounds import NoisyUpdate, noise_terms
from fecosr.ids import RunId
from fecosr.recommender.settings import EncoderSettings
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import initial_shared_vector
from market_node.learning import MarketTrainer, PrivateTrainer
from market_node.readiness import encoding_logged

SYNTHETIC = SyntheticSettings(num_users=40, num_items=64, num_categories=4, num_topics=2)
DATA = DataSettings(kind="synthetic", market="isle", min_core=1, synthetic=SYNTHETIC)
ENCODER = EncoderSettings(
    dimension=8, num_blocks=1, num_heads=1, feed_forward_dimension=8, projector_dimension=8
)
PLAN = Plan.model_validate(
    {
        "run": {"name": "spring", "rounds": 3, "seed": 1},
        "cohort": {"n_min": 3, "max_colluding": 1},
        "privacy": {"mode": "none"},
        "aggregation": {"clip_norm": 10.0},
        "encoder": ENCODER,
        "local_training": {"epochs": 2},
    }
)
CONFIG = NodeConfig(
    market="isle",
    coordinator="localhost:7443",
    data=DATA,
    policy=NodePolicy(n_min=3, max_colluding=1, max_rounds=3, max_clip_norm=10.0),
)
LEARNING = PLAN.learning(CONFIG.report.local_training)


@pytest.fixture(scope="module")
def market() -> MarketSequences:
    return load_market(DATA)


def manifest(round_number: int) -> RoundManifest:
    run, model = RunId("spring"), sha256(b"model")
    return RoundManifest(run, round_number, 1, bytes(32), model, 1, 10.0, 3, 3, 1, 32, 1, bytes(32))


def test_the_plan_decides_learning_and_the_market_its_own_baseline() -> None:
    assert LEARNING.encoder == PLAN.encoder
    assert LEARNING.local_training.epochs == 2
    assert LEARNING.local_baseline == CONFIG.report.local_training


def test_training_yields_an_update_of_the_model_it_was_given(market: MarketSequences) -> None:
    learner = MarketLearner(market, LEARNING, seed=1)
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    shared = initial_shared_vector(PLAN.encoder, PLAN.semantics, seed=1)
    with capture_logs() as lines:
        result = MarketTrainer(learner, False, log).train(manifest(1), shared)
    assert result.model_hash == sha256(b"model")
    assert result.update.shape == (len(shared),)
    assert np.any(result.update != 0)
    assert [line["fraction"] for line in lines if line["event"] == "training_progress"] == [0.5, 1.0]


def test_training_again_for_a_retry_yields_the_same_update(market: MarketSequences) -> None:
    """A node that crashed trains again: it must not show the coordinator a second, different update."""
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    shared = initial_shared_vector(PLAN.encoder, PLAN.semantics, seed=1)
    first, second = (
        MarketTrainer(MarketLearner(market, LEARNING, seed=1), False, log).train(manifest(2), shared)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.update, second.update)


def test_the_received_model_is_measured_only_when_the_plan_says_so(market: MarketSequences) -> None:
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    learner = MarketLearner(market, LEARNING, seed=1)
    shared = initial_shared_vector(PLAN.encoder, PLAN.semantics, seed=1)
    measured = MarketTrainer(learner, True, log).train(manifest(1), shared)
    silent = MarketTrainer(learner, False, log).train(manifest(1), shared)
    assert measured.validation == learner.evaluate_shared(shared, "validation").ndcg_10
    assert silent.validation is None
    # Measuring draws no random numbers that training would have drawn.
    np.testing.assert_array_equal(measured.update, silent.update)


LOCAL_PLAN = Plan.model_validate(
    {
        **PLAN.model_dump(),
        "s2ce": {"support": "neighbours"},
        "privacy": {
            "mode": "local",
            "privacy_unit": "user",
            "neighboring_relation": "add_or_remove_one",
            "holds_against": "everybody_outside_the_market",
            "epsilon": 8.0,
            "delta": 1e-4,
            "clip_norm": 0.5,
            "noise_multiplier": 2.0,
            "sampling_probability": 0.5,
            "expected_users": 20.0,
            "num_drawn": 8,
            "steps": 2,
        },
    }
)


def test_in_mode_local_nothing_but_a_noisy_update_leaves_training(market: MarketSequences) -> None:
    learner = MarketLearner(market, LOCAL_PLAN.learning(CONFIG.report.local_training), seed=1)
    shared = initial_shared_vector(PLAN.encoder, PLAN.semantics, seed=1)
    plan, privacy = LOCAL_PLAN.federation(), LOCAL_PLAN.privacy
    mechanism = plan.mechanism(len(shared), 3)
    assert isinstance(privacy, LocalPrivacySection)
    assert mechanism is not None
    asked = replace(manifest(1), num_parameters=len(shared), noise=noise_terms(mechanism))
    secrets = iter([bytes(32), bytes(32), bytes([1]) * 32])
    trainer = PrivateTrainer(learner, privacy, "s2ce", lambda _: next(secrets))
    first, again, other = (trainer.train(asked, shared) for _ in range(3))

    assert isinstance(first, NoisyUpdate)
    assert isinstance(again, NoisyUpdate)
    assert isinstance(other, NoisyUpdate)
    assert {field.name for field in fields(first)} == {"model_hash", "update"}
    assert first.model_hash == sha256(b"model")
    # Two steps of Adam, neither longer than its learning rate in any coordinate by more than a little.
    assert 0 < np.abs(first.update).max() <= 2.5 * privacy.learning_rate
    np.testing.assert_array_equal(first.update, again.update)
    assert not np.array_equal(first.update, other.update), "a node that trains again draws its noise anew"


def test_encoding_is_logged_by_tenths() -> None:
    with capture_logs() as logged:
        report = encoding_logged(structlog.get_logger())
        for done in range(5, 101, 5):
            report(done, 100)
    assert [line["fraction"] for line in logged] == [tenth / 10 for tenth in range(1, 11)]
