"""The public yardstick of the encoder: SASRec on Amazon Beauty, ranked against the whole catalogue.

It says whether the backbone is as good as others have made theirs, apart from everything federated. The split
is leave-one-out, a user's history is left out of the ranking, and the epoch is chosen on validation targets;
the test targets are looked at once, at the end.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fecosr.data.sequences import load_market
from fecosr.data.settings import DataSettings
from fecosr.errors import DataError
from fecosr.recommender.metrics import RankingMetrics
from fecosr.recommender.settings import EncoderSettings
from fecosr.training.baselines.popularity import evaluate_popularity
from fecosr.training.baselines.sasrec import train_sasrec
from fecosr.training.devices import torch_device
from fecosr.training.epochs import Progress
from fecosr.training.evaluation import evaluate
from fecosr.training.prepared import prepare_without_semantics
from fecosr.training.settings import Device, LocalBaselineSettings

BEAUTY_FILE: Final = "Beauty.txt.gz"


@dataclass(frozen=True, slots=True)
class Published:
    """Quote figures of others on the same data under the same protocol; they are never measured here."""

    name: str
    hr_10: float
    ndcg_10: float


PUBLISHED: Final = (
    Published("SASRec, one sampled negative, binary cross-entropy", 0.0605, 0.0318),
    Published("RecBole's SASRec, cross-entropy", 0.0830, 0.0416),
    Published("SASRec, sampled softmax", 0.0921, 0.0531),
    Published("eSASRec", 0.0928, 0.0523),
    Published("SASRec-SCE", 0.0935, 0.0544),
)


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Hold what one training run reached, and what it took.

    Attributes:
        num_users: in the data.
        num_items: in the catalogue that is ranked.
        best_epoch: chosen on validation.
        validation: metrics on the validation targets.
        test: metrics on the test targets.
        popularity: what recommending the most bought items reaches on the test targets.
        training_seconds: from the first batch to the last validation.
    """

    num_users: int
    num_items: int
    best_epoch: int
    validation: RankingMetrics = field(repr=False)
    test: RankingMetrics = field(repr=False)
    popularity: RankingMetrics = field(repr=False)
    training_seconds: float


def measure_yardstick(
    path: Path,
    encoder: EncoderSettings,
    settings: LocalBaselineSettings,
    *,
    seed: int,
    device: Device,
    progress: Progress,
) -> Yardstick:
    """Train SASRec on user sequences and rank its test targets.

    Args:
        path: a file with one user per line, or a folder that holds `BEAUTY_FILE`.
        encoder: of the model.
        settings: of training.
        seed: of initial parameters, batches and dropout.
        device: where to train.
        progress: called after each epoch.

    Raises:
        DataError: there is no such file, or it cannot be used.
        ConfigError: there is no such device.
    """
    where = torch_device(device)
    market = load_market(DataSettings(kind="sequences", path=str(_data_file(path))))
    data = prepare_without_semantics(market).on(where)
    start = time.perf_counter()
    trained = train_sasrec(data, encoder, settings, seed=seed, progress=progress)
    seconds = time.perf_counter() - start
    return Yardstick(
        num_users=market.num_users,
        num_items=market.num_items,
        best_epoch=trained.best_epoch,
        validation=trained.validation,
        test=evaluate(trained.model, data, "test"),
        popularity=evaluate_popularity(data, "test"),
        training_seconds=seconds,
    )


def _data_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    if (path / BEAUTY_FILE).is_file():
        return path / BEAUTY_FILE
    raise DataError(
        f"there is no {BEAUTY_FILE} here",
        remedy="name the file itself if it is called otherwise",
        source=str(path),
    )
