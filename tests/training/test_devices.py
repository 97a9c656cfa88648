from dataclasses import replace

import numpy as np
import pytest
import torch

from fecosr.data.sequences import MarketSequences
from fecosr.errors import ConfigError
from fecosr.training.baselines.sasrec import train_sasrec
from fecosr.training.devices import torch_device
from fecosr.training.evaluation import evaluate
from fecosr.training.local import train_locally
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.settings import Device, LearningSettings

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
GPU = torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "gpu", "expected"),
    [
        ("auto", False, "cpu"),
        ("cpu", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_a_gpu_is_used_where_there_is_one_and_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, device: Device, gpu: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert torch_device(device).type == expected


def test_a_gpu_that_is_not_there_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"sees no GPU here .*'auto'"):
        torch_device("cuda")


def test_a_market_knows_where_it_is(prepared: PreparedMarket) -> None:
    assert prepared.device.type == "cpu"
    moved = prepared.on(torch.device("meta"))
    assert moved.device.type == moved.soft.shares.device.type == moved.hard.shares.device.type == "meta"
    assert moved.split is prepared.split
    assert prepared.device.type == "cpu"


def test_the_learner_takes_its_device_to_market_and_model(
    market: MarketSequences, settings: LearningSettings
) -> None:
    learner = MarketLearner(market, settings, seed=0, device="auto")
    assert learner.data.device == torch_device("auto")


@needs_gpu
def test_a_round_without_dropout_is_the_same_on_a_gpu(
    prepared: PreparedMarket, settings: LearningSettings
) -> None:
    encoder = replace(settings.encoder, dropout=0.0)
    model = new_shared_model(encoder, settings.semantics, seed=1)
    shared = np.concatenate([value.detach().numpy().ravel() for value in model.parameters()])
    updates = [
        train_locally(
            new_shared_model(encoder, settings.semantics, seed=1),
            data,
            shared,
            settings.local_training,
            seed=0,
            round_number=1,
        )
        for data in (prepared, prepared.on(GPU))
    ]
    assert updates[1].loss == pytest.approx(updates[0].loss, rel=1e-3)
    distance = np.linalg.norm(updates[1].update - updates[0].update)
    assert distance < 0.02 * np.linalg.norm(updates[0].update)


@needs_gpu
def test_a_gpu_reaches_the_same_quality(prepared: PreparedMarket, settings: LearningSettings) -> None:
    on_cpu, on_gpu = (
        train_sasrec(data, settings.encoder, settings.local_baseline, seed=0)
        for data in (prepared, prepared.on(GPU))
    )
    assert on_gpu.validation.ndcg_10 == pytest.approx(on_cpu.validation.ndcg_10, abs=0.1)
    assert evaluate(on_gpu.model, prepared.on(GPU), "test").num_users == 60
