from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch

from fecosr.recommender.losses import soft_cross_entropy
from fecosr.recommender.metrics import RankingMetrics
from fecosr.recommender.model import SequenceModel
from fecosr.recommender.settings import Precision
from fecosr.training import epochs
from fecosr.training.epochs import EpochReport, ignore_progress, train_epoch, train_until_best
from fecosr.training.local import train_locally
from fecosr.training.parameters import flatten, new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.settings import LearningSettings, LocalBaselineSettings


def optimiser_of(model: SequenceModel) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=0.01)


def test_training_decreases_the_loss(prepared: PreparedMarket, settings: LearningSettings) -> None:
    model = new_shared_model(settings.encoder, settings.semantics, seed=1)
    optimiser, generator = optimiser_of(model), np.random.default_rng(0)
    losses = [
        train_epoch(model, prepared, prepared.soft, optimiser, batch_size=16, generator=generator)
        for _ in range(12)
    ]
    assert losses[0] == pytest.approx(np.log(24), rel=0.15)
    assert losses[-1] < losses[0] - 0.5


def test_the_reported_loss_is_a_mean_over_targets(
    prepared: PreparedMarket, settings: LearningSettings
) -> None:
    """With a learning rate of zero and no dropout it must not depend on how batches are cut."""
    no_dropout = replace(settings.encoder, dropout=0.0)
    model = new_shared_model(no_dropout, settings.semantics, seed=1)
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    losses = [
        train_epoch(
            model, prepared, prepared.hard, still, batch_size=size, generator=np.random.default_rng(0)
        )
        for size in (1, 7, 100)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(losses[2], rel=1e-5)


def scripted_validation(monkeypatch: pytest.MonkeyPatch, ndcg: list[float], seen: list[np.ndarray]) -> None:
    values = iter(ndcg)

    def evaluate(model: SequenceModel, data: PreparedMarket, part: str) -> RankingMetrics:
        assert part == "validation"
        seen.append(flatten(model))
        return RankingMetrics(60, 0.0, next(values), 0.0)

    monkeypatch.setattr(epochs, "evaluate", evaluate)


@pytest.mark.parametrize(
    ("ndcg", "best"),
    [
        ([0.1, 0.3, 0.2, 0.2], 1),
        ([0.5, 0.3, 0.4], 0),
        ([0.1, 0.2, 0.15, 0.3, 0.3, 0.3], 3),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 5),
    ],
)
def test_the_best_epoch_is_kept_and_patience_ends_it(
    prepared: PreparedMarket,
    settings: LearningSettings,
    monkeypatch: pytest.MonkeyPatch,
    ndcg: list[float],
    best: int,
) -> None:
    seen: list[np.ndarray] = []
    reports: list[EpochReport] = []
    scripted_validation(monkeypatch, ndcg, seen)
    model = new_shared_model(settings.encoder, settings.semantics, seed=1)
    epoch, metrics = train_until_best(
        model,
        prepared,
        optimiser_of(model),
        settings=LocalBaselineSettings(max_epochs=5, patience=2, batch_size=32),
        generator=np.random.default_rng(0),
        progress=reports.append,
    )
    assert (epoch, metrics.ndcg_10) == (best, ndcg[best])
    assert [report.epoch for report in reports] == list(range(len(ndcg)))
    assert reports[0].loss is None
    np.testing.assert_array_equal(flatten(model), seen[best])
    assert not np.array_equal(seen[0], seen[1])


def test_a_market_with_no_target_trains_to_nothing(
    prepared: PreparedMarket, settings: LearningSettings
) -> None:
    model = new_shared_model(settings.encoder, settings.semantics, seed=1)
    before = flatten(model)
    object.__setattr__(prepared.split, "train", tuple(items[:1] for items in prepared.split.train))
    loss = train_epoch(
        model,
        prepared,
        prepared.soft,
        optimiser_of(model),
        batch_size=16,
        generator=np.random.default_rng(0),
    )
    assert loss == 0.0
    np.testing.assert_array_equal(flatten(model), before)
    ignore_progress(EpochReport(0, 1, None))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_step_is_taken_in_the_precision_of_the_settings(
    prepared: PreparedMarket,
    settings: LearningSettings,
    precision: Precision,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[Precision] = []

    def remember(*arguments: torch.Tensor, shard: None) -> torch.Tensor:
        *tensors, asked = arguments
        used.append(cast("Precision", asked))
        return soft_cross_entropy(*tensors)  # type: ignore[arg-type]

    monkeypatch.setattr(epochs, "soft_cross_entropy", remember)
    model = new_shared_model(settings.encoder, settings.semantics, seed=1)
    baseline = LocalBaselineSettings(max_epochs=1, precision=precision)
    generator = np.random.default_rng(0)
    train_until_best(
        model,
        prepared,
        optimiser_of(model),
        settings=baseline,
        generator=generator,
        progress=ignore_progress,
    )
    round_settings = replace(settings.local_training, precision=precision)
    shared = flatten(model)
    train_locally(model, prepared, shared, round_settings, seed=0, round_number=1)
    assert len(used) > 2
    assert set(used) == {precision}
