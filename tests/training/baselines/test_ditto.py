"""Ditto's own model is pulled towards the shared one exactly as much as lambda says."""

import numpy as np
import torch
from torch.optim import AdamW

from fecosr.recommender.model import MarketModel
from fecosr.training.baselines.ditto import train_near_shared
from fecosr.training.epochs import train_epoch
from fecosr.training.parameters import FloatVector, flatten, initial_shared_vector, new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.seeds import derive_seed, seeded
from fecosr.training.settings import LearningSettings


def own_model(prepared: PreparedMarket, settings: LearningSettings) -> MarketModel:
    shared = new_shared_model(settings.encoder, settings.semantics, seed=3)
    with seeded(3, "market model"):
        return MarketModel(shared, prepared.num_items, settings.adapter)


def trained(
    prepared: PreparedMarket,
    settings: LearningSettings,
    shared: FloatVector,
    strength: float,
    rounds: int = 2,
) -> FloatVector:
    model = own_model(prepared, settings)
    for number in range(1, rounds + 1):
        train_near_shared(
            model,
            prepared,
            shared,
            settings.local_training,
            strength=strength,
            seed=7,
            round_number=number,
        )
    return flatten(model)


def test_without_lambda_it_is_local_training(prepared: PreparedMarket, settings: LearningSettings) -> None:
    local, model = settings.local_training, own_model(prepared, settings)
    for number in (1, 2):
        optimiser = AdamW(
            model.parameters(), lr=local.learning_rate, weight_decay=local.weight_decay, fused=True
        )
        names = ("ditto", number, prepared.market)
        generator = np.random.default_rng(derive_seed(7, *names))
        with seeded(7, *names):
            for _ in range(local.epochs):
                train_epoch(
                    model,
                    prepared,
                    prepared.hard,
                    optimiser,
                    batch_size=local.batch_size,
                    generator=generator,
                )
    far = initial_shared_vector(settings.encoder, settings.semantics, 99)
    for shared in (far, 5 * far):
        np.testing.assert_array_equal(trained(prepared, settings, shared, 0.0), flatten(model))


def test_the_larger_lambda_the_nearer_to_the_shared_model(
    prepared: PreparedMarket, settings: LearningSettings
) -> None:
    shared = initial_shared_vector(settings.encoder, settings.semantics, 99)
    size = len(shared)
    distances = [
        float(np.linalg.norm(trained(prepared, settings, shared, strength)[:size] - shared))
        for strength in (0.0, 0.3, 30.0)
    ]
    assert distances[0] > distances[1] > distances[2]


def test_the_shared_parameters_are_not_touched_and_the_loss_is_returned(
    prepared: PreparedMarket, settings: LearningSettings
) -> None:
    shared = initial_shared_vector(settings.encoder, settings.semantics, 99)
    before = shared.copy()
    model = own_model(prepared, settings)
    losses = [
        train_near_shared(
            model, prepared, shared, settings.local_training, strength=0.01, seed=7, round_number=number
        )
        for number in range(1, 6)
    ]
    np.testing.assert_array_equal(shared, before)
    assert losses[-1] < losses[0] - 0.1
    assert not torch.equal(model.adapter.local_items, torch.zeros_like(model.adapter.local_items))
