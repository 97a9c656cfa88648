import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fecosr.data.sequences import load_market
from fecosr.data.settings import DataSettings
from fecosr.errors import ConfigError, DataError
from fecosr.harness.yardstick import BEAUTY_FILE, PUBLISHED, Yardstick, measure_yardstick
from fecosr.recommender.settings import EncoderSettings
from fecosr.training.baselines.sasrec import MEDIUM_ENCODER, MEDIUM_TRAINING, train_sasrec
from fecosr.training.epochs import EpochReport, ignore_progress
from fecosr.training.evaluation import evaluate
from fecosr.training.prepared import prepare_without_semantics

NUM_ITEMS, NUM_USERS = 20, 50
ENCODER = replace(MEDIUM_ENCODER, dimension=8, num_blocks=1, feed_forward_dimension=8, dropout=0.1)
TRAINING = replace(MEDIUM_TRAINING, max_epochs=5, batch_size=16, learning_rate=0.02)


@pytest.fixture
def beauty(tmp_path: Path) -> Path:
    """Users who walk around a circle of items, written as S3-Rec writes them."""
    rng = np.random.default_rng(0)
    lines = []
    for user in range(NUM_USERS):
        walk = (rng.integers(NUM_ITEMS) + np.cumsum(rng.integers(1, 3, size=8))) % NUM_ITEMS
        lines.append(" ".join(map(str, (user + 1, *(walk + 1)))))
    path = tmp_path / BEAUTY_FILE
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def measured(path: Path, encoder: EncoderSettings = ENCODER) -> Yardstick:
    return measure_yardstick(path, encoder, TRAINING, seed=3, device="cpu", progress=ignore_progress)


def test_it_is_sasrec_chosen_on_validation_and_ranked_on_test(beauty: Path) -> None:
    found = measured(beauty)
    data = prepare_without_semantics(load_market(DataSettings(kind="sequences", path=str(beauty))))
    trained = train_sasrec(data, ENCODER, TRAINING, seed=3)
    assert (found.best_epoch, found.validation) == (trained.best_epoch, trained.validation)
    assert found.test == evaluate(trained.model, data, "test")
    assert found.test.num_users == found.num_users == NUM_USERS
    assert found.num_items == NUM_ITEMS
    assert found.test.ndcg_10 > found.popularity.ndcg_10
    assert found.training_seconds > 0.0


def test_a_folder_stands_for_the_file_in_it(beauty: Path) -> None:
    assert measured(beauty.parent).test == measured(beauty).test


def test_progress_is_told_epoch_by_epoch(beauty: Path) -> None:
    told: list[EpochReport] = []
    measure_yardstick(beauty, ENCODER, TRAINING, seed=3, device="cpu", progress=told.append)
    assert [report.epoch for report in told] == list(range(TRAINING.max_epochs + 1))


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"there is no {BEAUTY_FILE} here"):
        measured(tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        measured(tmp_path / "other.txt")


def test_a_missing_gpu_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="no GPU"):
        measure_yardstick(
            tmp_path / "none", ENCODER, TRAINING, seed=0, device="cuda", progress=ignore_progress
        )


def test_the_figures_of_others_are_shares() -> None:
    assert len(PUBLISHED) >= 4
    assert all(0.0 < other.ndcg_10 < other.hr_10 < 0.2 for other in PUBLISHED)
