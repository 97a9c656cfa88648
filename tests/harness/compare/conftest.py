"""Three small generated markets that share a behaviour process, and settings with which training is quick."""

import pytest
import torch

from fecosr.config.plan import AggregationSection
from fecosr.data.sequences import MarketSequences, load_market
from fecosr.data.settings import DataSettings, SyntheticSettings
from fecosr.federation.optimisers import Sgd
from fecosr.harness.compare.settings import ComparisonSettings, PrivateSection
from fecosr.harness.compare.study import Study, prepare_study
from fecosr.recommender.settings import AdapterSettings, EncoderSettings, S2CESettings, SemanticsSettings
from fecosr.training.settings import FineTuningSettings, LocalBaselineSettings, LocalTrainingSettings

SIZES = {"big": (200, 80), "middle": (120, 64), "small": (80, 48)}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def settings() -> ComparisonSettings:
    return ComparisonSettings(
        rounds=2,
        aggregation=AggregationSection(clip_norm=10.0, reference_num_users=200),
        semantics=SemanticsSettings(dimension=32, buckets=1024),
        encoder=EncoderSettings(
            dimension=16,
            num_blocks=1,
            num_heads=2,
            feed_forward_dimension=16,
            projector_dimension=16,
            max_length=12,
            dropout=0.1,
        ),
        s2ce=S2CESettings(num_neighbours=4),
        local_training=LocalTrainingSettings(epochs=1, batch_size=16, learning_rate=0.01),
        adapter=AdapterSettings(bottleneck=4),
        fine_tuning=FineTuningSettings(max_epochs=2, patience=2, batch_size=16),
        local_baseline=LocalBaselineSettings(max_epochs=3, patience=3, batch_size=16, learning_rate=0.01),
        private=PrivateSection(rounds=2, server=Sgd(learning_rate=1.0)),
    )


@pytest.fixture(scope="session")
def sequences() -> dict[str, MarketSequences]:
    return {
        name: load_market(
            DataSettings(
                kind="synthetic",
                market=name,
                min_core=1,
                synthetic=SyntheticSettings(
                    num_users=users,
                    num_items=items,
                    num_categories=8,
                    num_topics=2,
                    shared_item_share=0.5,
                ),
            )
        )
        for name, (users, items) in SIZES.items()
    }


@pytest.fixture
def study(sequences: dict[str, MarketSequences], settings: ComparisonSettings) -> Study:
    return prepare_study(sequences, settings, seed=5)
