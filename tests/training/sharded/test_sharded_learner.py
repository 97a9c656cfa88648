"""Two real processes and what one process makes of the same market."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fecosr.errors import ShardLost
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import (
    FloatVector,
    flatten,
    initial_shared_vector,
    load_into,
    new_shared_model,
)
from fecosr.training.settings import LearningSettings
from fecosr.training.sharded.group import ShardGroup
from fecosr.training.sharded.learner import ShardedLearner
from tests.reference.sharded_market import OF_CATALOGUE, PLAN_HASH, SEED, SETTINGS, market

ROOT = Path(__file__).parents[3]

KEY_BIAS = "query_key_value.bias"

Second = subprocess.Popen[str]


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Second]]:
    """Return what starts the second process, and lets this one be the first."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    started: list[Second] = []
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
    }
    for name, value in {**shared, "RANK": "0"}.items():
        monkeypatch.setenv(name, value)

    def start(*arguments: str) -> Second:
        command = [sys.executable, "-m", "tests.reference.sharded_market", *arguments]
        environment = {**os.environ, **shared, "RANK": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def is_key_bias(shared: FloatVector, settings: LearningSettings) -> npt.NDArray[np.bool_]:
    """Return where attention adds the same to all keys: a softmax does not see it, so its gradient is zero.

    What is there instead is rounding, of which AdamW makes steps as large as all others.
    """
    model, dimension = (
        new_shared_model(settings.encoder, settings.semantics, SEED),
        settings.encoder.dimension,
    )
    found = np.zeros(len(shared), dtype=np.float32)
    load_into(model, found)
    for name, value in model.named_parameters():
        if name.endswith(KEY_BIAS):
            value.data[dimension : 2 * dimension] = 1.0
    return flatten(model) > 0


@pytest.mark.parametrize(
    ("settings", "argument"),
    [
        (SETTINGS, "neighbours"),
        pytest.param(OF_CATALOGUE, "catalogue", marks=pytest.mark.slow),
    ],
)
def test_two_shards_learn_what_one_process_learns(
    second: Callable[..., Second], settings: LearningSettings, argument: str
) -> None:
    other = second(argument)
    alone = MarketLearner(market(), settings, seed=SEED)
    group = ShardGroup.join(0, 2, PLAN_HASH)
    together = ShardedLearner(group, market(), settings, seed=SEED)
    shared = initial_shared_vector(settings.encoder, settings.semantics, SEED)

    expected, found = alone.train_round(shared, 2), together.train_round(shared, 2)
    assert np.abs(expected.update).max() > 1e-3
    felt = ~is_key_bias(shared, settings)
    np.testing.assert_allclose(found.update[felt], expected.update[felt], atol=2e-5)
    assert (found.num_users, found.num_targets) == (expected.num_users, expected.num_targets)
    assert found.loss == pytest.approx(expected.loss, abs=1e-5)

    shared = shared + expected.update
    assert together.evaluate_shared(shared, "validation") == alone.evaluate_shared(shared, "validation")
    assert together.evaluate_shared(shared) == alone.evaluate_shared(shared)

    tuned, tuned_alone = together.fine_tune(shared), alone.fine_tune(shared)
    assert tuned.best_epoch == tuned_alone.best_epoch > 0
    for name, value in tuned_alone.model.named_parameters():
        if not name.endswith(KEY_BIAS):
            theirs = tuned.model.get_parameter(name).detach()
            torch.testing.assert_close(theirs, value.detach(), atol=2e-5, rtol=0)
    assert together.evaluate(tuned.model) == alone.evaluate(tuned_alone.model)

    together.close()
    said, complaints = other.communicate(timeout=60)
    assert other.returncode == 0, complaints
    assert said.split("\n")[:-1] == ["TRAIN_ROUND 2", "VALIDATE 0", "FINE_TUNE 0", "END 0"]


def test_a_shard_that_dies_is_missed_by_name(second: Callable[..., Second]) -> None:
    other = second("neighbours")
    group = ShardGroup.join(0, 2, PLAN_HASH)
    together = ShardedLearner(group, market(), SETTINGS, seed=SEED)
    other.kill()
    other.wait()
    shared = initial_shared_vector(SETTINGS.encoder, SETTINGS.semantics, SEED)
    with pytest.raises(ShardLost, match="start the node again"):
        together.train_round(shared, 1)
    group.leave()
