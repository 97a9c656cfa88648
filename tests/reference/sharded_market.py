"""A market that two processes can train, and the second of them: `python -m tests.reference.sharded_market`.

Dropout is on, and the softmax spreads over a few neighbours and over the whole catalogue in turn: what is
compared is the update of one process.
"""

import sys
from dataclasses import replace

from fecosr.data.sequences import MarketSequences, load_market
from fecosr.data.settings import DataSettings, SyntheticSettings
from fecosr.recommender.settings import EncoderSettings, S2CESettings
from fecosr.training.settings import FineTuningSettings, LearningSettings, LocalTrainingSettings
from fecosr.training.sharded.group import ShardGroup
from fecosr.training.sharded.learner import follow

SEED = 3
PLAN_HASH = bytes(32)
SETTINGS = LearningSettings(
    encoder=EncoderSettings(
        dimension=16, num_blocks=1, num_heads=2, feed_forward_dimension=16, projector_dimension=16
    ),
    s2ce=S2CESettings(num_neighbours=4),
    local_training=LocalTrainingSettings(batch_size=16, label_smoothing=0.1, proximal=0.01),
    fine_tuning=FineTuningSettings(max_epochs=2, batch_size=16),
)
OF_CATALOGUE = replace(SETTINGS, s2ce=S2CESettings(support="catalogue"))


def market() -> MarketSequences:
    """Return the market's sequences: 61 items, which no even number divides."""
    synthetic = SyntheticSettings(num_users=40, num_items=64, num_categories=4, num_topics=2)
    return load_market(DataSettings(kind="synthetic", market="isle", min_core=1, synthetic=synthetic))


if __name__ == "__main__":
    settings = OF_CATALOGUE if sys.argv[1:] == ["catalogue"] else SETTINGS
    shards = ShardGroup.join(1, 2, PLAN_HASH)
    follow(shards, settings, SEED, lambda order, number: print(order.name, number))  # noqa: T201
    shards.leave()
