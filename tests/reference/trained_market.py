"""A small market model, trained as a node would train it, for everybody who tests what comes after."""

from dataclasses import replace

from fecosr.data.sequences import MarketSequences
from fecosr.data.settings import DataSettings, SyntheticSettings
from fecosr.recommender.semantics import NO_ACCESS, EmbeddingAccess, FloatArray, pinned
from fecosr.recommender.settings import AdapterSettings, EncoderSettings, SemanticsSettings
from fecosr.serving.facts import OriginFacts
from fecosr.serving.market_model import ServedModel
from fecosr.serving.trained import served_model
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import initial_shared_vector
from fecosr.training.settings import FineTuningSettings, LearningSettings

DATA = DataSettings(
    kind="synthetic",
    market="isle",
    min_core=1,
    synthetic=SyntheticSettings(num_users=60, num_items=100, num_categories=4, num_topics=2),
)
LEARNING = LearningSettings(
    semantics=SemanticsSettings(dimension=32, buckets=1024),
    encoder=EncoderSettings(
        dimension=16,
        num_blocks=1,
        num_heads=2,
        feed_forward_dimension=16,
        projector_dimension=16,
        max_length=8,
    ),
    adapter=AdapterSettings(bottleneck=4),
    fine_tuning=FineTuningSettings(max_epochs=1, patience=1, batch_size=16, learning_rate=0.01),
)
ORIGIN = OriginFacts(
    run="spring",
    planned_rounds=3,
    plan_hash="ab" * 32,
    shared_model_hash="cd" * 32,
    privacy={"mode": "none"},
)


def trained_model(
    market: MarketSequences,
    semantics: SemanticsSettings = LEARNING.semantics,
    access: EmbeddingAccess = NO_ACCESS,
    sketches: FloatArray | None = None,
) -> ServedModel:
    """Return the model of a market, fine-tuned for one epoch from random shared parameters."""
    learning = replace(LEARNING, semantics=pinned(semantics, access.path))
    learner = MarketLearner(market, learning, seed=1, access=access, sketches=sketches)
    shared = initial_shared_vector(learning.encoder, learning.semantics, seed=1)
    tuned = learner.fine_tune(shared)
    return served_model(learner, market, tuned, learner.evaluate(tuned.model), origin=ORIGIN, settings=DATA)
