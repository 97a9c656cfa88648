from dataclasses import replace

import numpy as np
import pytest
import torch

from fecosr.data.batches import bucketed_batches
from fecosr.training.baselines.local import train_alone
from fecosr.training.baselines.sasrec import train_sasrec
from fecosr.training.parameters import flatten
from fecosr.training.prepared import PreparedMarket
from fecosr.training.schedule import WARM_UP, CosineSchedule, cosine_factor, follow_schedule
from fecosr.training.settings import LearningSettings, LocalBaselineSettings

NUM_STEPS = 200


def test_the_rate_rises_within_the_warm_up_and_then_falls_to_nothing() -> None:
    factors = [cosine_factor(step, NUM_STEPS) for step in range(NUM_STEPS)]
    top = factors.index(max(factors))
    assert top == WARM_UP * NUM_STEPS - 1
    assert factors[0] == pytest.approx(1 / (WARM_UP * NUM_STEPS), rel=1e-3)
    assert (np.diff(factors[: top + 1]) > 0).all()
    assert (np.diff(factors[top:]) < 0).all()
    assert factors[NUM_STEPS // 2] == pytest.approx(0.5)
    assert 0.0 < factors[-1] < 1e-3
    assert cosine_factor(NUM_STEPS, NUM_STEPS) == 0.0


@pytest.mark.parametrize("num_steps", [1, 2, 19])
def test_short_runs_have_no_warm_up(num_steps: int) -> None:
    assert cosine_factor(0, num_steps) == 1.0


def test_every_group_moves_from_its_own_rate() -> None:
    slow, fast = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimiser = torch.optim.SGD([{"params": [slow], "lr": 0.1}, {"params": [fast], "lr": 1.0}])
    CosineSchedule(optimiser, NUM_STEPS)
    slow.grad = fast.grad = torch.ones(1)
    for _ in range(NUM_STEPS // 2):
        optimiser.step()
    expected = sum(cosine_factor(step, NUM_STEPS) for step in range(NUM_STEPS // 2))
    assert fast.item() == pytest.approx(-expected, rel=1e-5)
    assert slow.item() == pytest.approx(-0.1 * expected, rel=1e-5)


@pytest.mark.parametrize("batch_size", [7, 16, 1000])
def test_the_rate_is_spent_after_the_last_epoch(prepared: PreparedMarket, batch_size: int) -> None:
    object.__setattr__(prepared.split, "train", (prepared.split.train[0][:1], *prepared.split.train[1:]))
    settings = LocalBaselineSettings(max_epochs=3, batch_size=batch_size, schedule="cosine")
    value = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([value], lr=1.0)
    follow_schedule(optimiser, settings, prepared)
    generator = np.random.default_rng(0)
    rates = []
    for _ in range(settings.max_epochs):
        for _ in bucketed_batches(prepared.split.train, 8, prepared.batch_size(batch_size), generator):
            optimiser.step()
            rates.append(optimiser.param_groups[0]["lr"])
    assert rates[-1] > 0.0
    assert cosine_factor(len(rates), len(rates)) == 0.0
    optimiser.step()
    assert optimiser.param_groups[0]["lr"] == 0.0


def test_a_constant_rate_stays(prepared: PreparedMarket) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    follow_schedule(optimiser, LocalBaselineSettings(max_epochs=1), prepared)
    for _ in range(20):
        optimiser.step()
    assert optimiser.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("method", ["sasrec", "local"])
def test_those_who_train_alone_follow_their_schedule(
    prepared: PreparedMarket, settings: LearningSettings, method: str
) -> None:
    found = []
    for schedule in ("constant", "cosine"):
        baseline = replace(settings.local_baseline, max_epochs=2, schedule=schedule)
        if method == "sasrec":
            model: torch.nn.Module = train_sasrec(prepared, settings.encoder, baseline, seed=0).model
        else:
            model = train_alone(prepared, settings.encoder, settings.adapter, baseline, seed=0).model
        found.append(flatten(model))
    assert not np.array_equal(found[0], found[1])
