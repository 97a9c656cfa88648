"""SASRec with a full softmax: one market alone, items known by number. The public yardstick of the encoder.

Reference: Kang and McAuley 2018, "Self-Attentive Sequential Recommendation", with cross-entropy over
the whole catalogue in place of one sampled negative, after Klenitskiy and Vasilev 2023, "Turning Dross
Into Gold Loss: is BERT4Rec really better than SASRec?".
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fecosr.recommender.metrics import RankingMetrics
from fecosr.recommender.model import WITHOUT_REGRESSION, ItemTableModel
from fecosr.recommender.settings import AdapterSettings, EncoderSettings
from fecosr.training.epochs import Progress, ignore_progress, train_until_best
from fecosr.training.optimisers import adamw
from fecosr.training.prepared import PreparedMarket
from fecosr.training.regression import fit_regression
from fecosr.training.schedule import follow_schedule
from fecosr.training.seeds import derive_seed, seeded
from fecosr.training.settings import LocalBaselineSettings

MEDIUM_ENCODER: Final = EncoderSettings(
    dimension=128, feed_forward_dimension=256, dropout=0.5, similarity="cosine", temperature=0.07
)
"""The encoder for some ten thousand users and items and short histories, as in Amazon Beauty."""

MEDIUM_TRAINING: Final = LocalBaselineSettings(
    max_epochs=16, patience=4, batch_size=64, learning_rate=0.002, schedule="cosine", precision="bfloat16"
)
"""The training for a market of that size; both were chosen on Beauty's validation targets."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedSASRec:
    """Hold a market's model with an item table, and how it was chosen.

    Attributes:
        model: with the parameters of the best epoch.
        best_epoch: 0 where no epoch was better than none.
        validation: its metrics on the market's validation targets, by which the epoch was chosen.
    """

    model: ItemTableModel = field(repr=False)
    best_epoch: int
    validation: RankingMetrics


def train_sasrec(
    data: PreparedMarket,
    encoder: EncoderSettings,
    settings: LocalBaselineSettings,
    *,
    seed: int,
    adapter: AdapterSettings = WITHOUT_REGRESSION,
    progress: Progress = ignore_progress,
) -> TrainedSASRec:
    """Return SASRec trained from a random start with cross-entropy and early stopping.

    Where `adapter` wants it, the market's item regression is fitted afterwards, to the same validation users.
    """
    names = ("sasrec", data.market)
    with seeded(seed, *names):
        model = ItemTableModel(encoder, data.num_items, adapter).to(data.device)
        optimiser = adamw(
            model.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay
        )
        follow_schedule(optimiser, settings, data)
        best_epoch, _ = train_until_best(
            model,
            data,
            optimiser,
            settings=settings,
            generator=np.random.default_rng(derive_seed(seed, *names)),
            progress=progress,
        )
    return TrainedSASRec(model, best_epoch, fit_regression(model, data))
