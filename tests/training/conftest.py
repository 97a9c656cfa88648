"""One tiny market with a pattern that a small model learns in a few epochs."""

import numpy as np
import pytest
import torch

from fecosr.data.catalogue import Catalogue
from fecosr.data.sequences import MarketSequences
from fecosr.recommender.settings import AdapterSettings, EncoderSettings, S2CESettings, SemanticsSettings
from fecosr.training.prepared import PreparedMarket, prepare
from fecosr.training.settings import (
    FineTuningSettings,
    LearningSettings,
    LocalBaselineSettings,
    LocalTrainingSettings,
)

NUM_ITEMS, NUM_USERS = 24, 60


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def settings() -> LearningSettings:
    return LearningSettings(
        semantics=SemanticsSettings(dimension=32, buckets=1024),
        encoder=EncoderSettings(
            dimension=16,
            num_blocks=1,
            num_heads=2,
            feed_forward_dimension=16,
            projector_dimension=16,
            max_length=8,
            dropout=0.1,
        ),
        s2ce=S2CESettings(num_neighbours=4),
        local_training=LocalTrainingSettings(epochs=2, batch_size=16, learning_rate=0.01),
        adapter=AdapterSettings(bottleneck=4),
        fine_tuning=FineTuningSettings(max_epochs=4, patience=2, batch_size=16),
        local_baseline=LocalBaselineSettings(max_epochs=6, patience=3, batch_size=16, learning_rate=0.01),
    )


@pytest.fixture
def market() -> MarketSequences:
    """Every user walks around a circle of items, from a random start, with steps of one or two."""
    rng = np.random.default_rng(0)
    sequences = []
    for _ in range(NUM_USERS):
        steps = rng.integers(1, 3, size=int(rng.integers(5, 11)))
        sequences.append(((rng.integers(NUM_ITEMS) + np.cumsum(steps)) % NUM_ITEMS).astype(np.int32))
    return MarketSequences(
        market="circle",
        catalogue=Catalogue(tuple(f"item-{number:02d}" for number in range(NUM_ITEMS))),
        user_ids=tuple(f"user-{number:02d}" for number in range(NUM_USERS)),
        sequences=tuple(sequences),
    )


@pytest.fixture
def prepared(market: MarketSequences, settings: LearningSettings) -> PreparedMarket:
    return prepare(market, settings.semantics, settings.s2ce)
