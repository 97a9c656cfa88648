"""Small models that every test of the recommender can share."""

import pytest
import torch

from fecosr.recommender.model import MarketModel, SharedModel
from fecosr.recommender.settings import AdapterSettings, EncoderSettings

NUM_ITEMS = 23
SEMANTIC_DIMENSION = 16


@pytest.fixture
def encoder_settings() -> EncoderSettings:
    return EncoderSettings(
        dimension=8,
        num_blocks=2,
        num_heads=2,
        feed_forward_dimension=12,
        projector_dimension=10,
        max_length=9,
        dropout=0.3,
    )


@pytest.fixture
def semantics() -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    vectors = torch.randn(NUM_ITEMS, SEMANTIC_DIMENSION, generator=generator)
    return torch.nn.functional.normalize(vectors, dim=1)


@pytest.fixture
def shared_model(encoder_settings: EncoderSettings) -> SharedModel:
    torch.manual_seed(1)
    return SharedModel(encoder_settings, SEMANTIC_DIMENSION).eval()


@pytest.fixture
def market_model(shared_model: SharedModel) -> MarketModel:
    torch.manual_seed(2)
    return MarketModel(shared_model, NUM_ITEMS, AdapterSettings(bottleneck=4)).eval()
