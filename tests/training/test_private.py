import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from opacus.utils.uniform_sampler import UniformWithReplacementSampler

from fecosr.errors import MisuseError
from fecosr.privacy.contributions import from_ring, noisy_sum
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.privacy.user_sampling import sample_users
from fecosr.recommender.model import SharedModel
from fecosr.training import private
from fecosr.training.parameters import FloatVector, flatten, layout_of, load_into
from fecosr.training.prepared import PreparedMarket
from fecosr.training.private import (
    distributed_contribution,
    draw_items,
    local_mechanism,
    private_sum,
    set_gradient,
    train_privately,
)
from fecosr.training.private_settings import PrivateTrainingSettings
from fecosr.training.seeds import seeded
from fecosr.training.settings import LearningSettings

SECRET = bytes(range(32))
SETTINGS = PrivateTrainingSettings(
    clip_norm=1.0,
    noise_multiplier=1.0,
    sampling_probability=0.5,
    expected_users=30,
    num_drawn=10,
    users_at_a_time=8,
    steps=3,
    learning_rate=0.01,
)


@pytest.fixture
def model(settings: LearningSettings) -> SharedModel:
    with seeded(5, "private"):
        return SharedModel(settings.encoder, settings.semantics.dimension)


def _mechanism(model: SharedModel, num_nodes: int = 4) -> IntegerMechanism:
    return IntegerMechanism.fitting(
        num_parameters=layout_of(model).num_parameters,
        clip_norm=SETTINGS.clip_norm,
        noise_multiplier=SETTINGS.noise_multiplier,
        expected_users=SETTINGS.expected_users,
        num_nodes=num_nodes,
        n_min=num_nodes - 1,
        max_colluding=1,
    )


def test_markets_add_up_to_the_sum_with_more_than_the_noise_promised(
    model: SharedModel, prepared: PreparedMarket
) -> None:
    mechanism, shared = _mechanism(model), flatten(model)
    ring = np.zeros(mechanism.num_parameters, np.uint32)
    exact = np.zeros(mechanism.num_parameters, np.int64)
    for number in range(4):
        secret = bytes([number]) * 32
        ring += distributed_contribution(
            model, prepared, shared, SETTINGS, mechanism, public_seed=1, secret=secret
        )
        exact += private_sum(model, prepared, SETTINGS, mechanism, public_seed=1, secret=secret)
    noise = (ring - exact.astype(np.uint32)).view(np.int32)
    # Four shares where two are counted on, since one node may be missing and one may collude.
    wanted = mechanism.noise_multiplier * mechanism.clip_units * np.sqrt(2)
    assert noise.std() == pytest.approx(wanted, rel=0.1)
    real = from_ring(ring, mechanism)
    assert np.linalg.norm(real - exact * mechanism.unit) == pytest.approx(
        wanted * mechanism.unit * np.sqrt(len(real)), rel=0.1
    )


def test_a_contribution_is_a_function_of_its_seeds_and_of_no_other_randomness(
    model: SharedModel, prepared: PreparedMarket
) -> None:
    mechanism, shared = _mechanism(model), flatten(model)

    def contribution(public_seed: int, secret: bytes) -> bytes:
        vector = distributed_contribution(
            model, prepared, shared, SETTINGS, mechanism, public_seed=public_seed, secret=secret
        )
        return vector.tobytes()

    assert contribution(1, SECRET) == contribution(1, SECRET)
    assert len({contribution(1, SECRET), contribution(2, SECRET), contribution(1, bytes(32))}) == 3


def _noisy_update(
    model: SharedModel, prepared: PreparedMarket, settings: PrivateTrainingSettings = SETTINGS
) -> FloatVector:
    shared = flatten(model)
    mechanism = local_mechanism(len(shared), settings)
    update = train_privately(model, prepared, shared, settings, mechanism, public_seed=1, secret=SECRET)
    load_into(model, shared)
    return update


def test_a_market_that_adds_all_the_noise_itself_adds_it_whole() -> None:
    mechanism = local_mechanism(1000, SETTINGS)
    assert mechanism.num_shares == 1
    assert mechanism.noise_multiplier >= SETTINGS.noise_multiplier


def test_an_update_of_noisy_steps_is_a_function_of_its_seeds(
    model: SharedModel, prepared: PreparedMarket
) -> None:
    update = _noisy_update(model, prepared)
    assert np.abs(update).max() <= 3.5 * SETTINGS.learning_rate
    assert np.array_equal(update, _noisy_update(model, prepared))


def test_every_step_draws_anew(model: SharedModel, prepared: PreparedMarket) -> None:
    one, two = (
        _noisy_update(model, prepared, dataclasses.replace(SETTINGS, steps=steps)) for steps in (1, 2)
    )
    second = two - one
    assert abs(np.corrcoef(one, second)[0, 1]) < 0.9
    assert np.abs(second).max() > 0


def test_it_learns_where_noise_is_small(model: SharedModel, prepared: PreparedMarket) -> None:
    learnable = dataclasses.replace(
        SETTINGS, noise_multiplier=0.01, sampling_probability=1.0, expected_users=60, steps=25, num_drawn=24
    )
    shared = flatten(model)
    before = private_sum(
        model,
        prepared,
        dataclasses.replace(learnable, clip_norm=1e6),
        IntegerMechanism(len(shared), 1e6, 1 << 26, 1 << 24, 1),
        public_seed=9,
        secret=SECRET,
    )
    update = _noisy_update(model, prepared, learnable)
    # Downhill: the update points against the gradient.
    assert float(before @ update.astype(np.float64)) < 0


def test_data_reach_an_update_only_through_noisy_sums(
    model: SharedModel, prepared: PreparedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every sum that is handed on is the same, so is the update, whoever the users are."""
    noisy: list[npt.NDArray[np.int64]] = []

    def recorded(total: npt.NDArray[np.int64], mechanism: IntegerMechanism, secret: bytes) -> object:
        noisy.append(noisy_sum(total, mechanism, secret))
        return noisy[-1]

    monkeypatch.setattr(private, "noisy_sum", recorded)
    update = _noisy_update(model, prepared)
    assert len(noisy) == SETTINGS.steps

    replayed = iter(noisy)
    monkeypatch.setattr(private, "noisy_sum", lambda *_: next(replayed))
    half = prepared.split.train[: len(prepared.split.train) // 2]
    others = dataclasses.replace(prepared, split=dataclasses.replace(prepared.split, train=half))
    assert np.array_equal(update, _noisy_update(model, others))


def test_drawn_items_are_public_and_each_once() -> None:
    drawn = draw_items(100, 10, 7)
    assert len(set(drawn.tolist())) == 10
    assert drawn.tolist() == draw_items(100, 10, 7).tolist() != draw_items(100, 10, 8).tolist()
    assert draw_items(5, 10, 7).tolist() == [0, 1, 2, 3, 4]


def test_users_are_sampled_as_opacus_samples_them() -> None:
    """The same law, from seeds that nobody can predict; Opacus draws from torch's Mersenne Twister."""
    theirs = [
        len(next(iter(UniformWithReplacementSampler(num_samples=500, sample_rate=0.1)))) for _ in range(300)
    ]
    ours = [len(sample_users(number.to_bytes(32, "big"), 500, 0.1)) for number in range(300)]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=6 * np.sqrt(2 * 45 / 300))
    assert np.var(ours) == pytest.approx(np.var(theirs), rel=0.6)


def test_a_gradient_goes_where_its_parameters_stand(model: SharedModel) -> None:
    gradient = np.arange(layout_of(model).num_parameters, dtype=np.float32)
    set_gradient(model, gradient)
    found = np.concatenate(
        [value.grad.flatten().numpy() for value in model.parameters() if value.grad is not None]
    )
    assert np.array_equal(found, gradient)


def test_refuses_a_mechanism_of_another_size(model: SharedModel, prepared: PreparedMarket) -> None:
    with pytest.raises(MisuseError, match="the model has others"):
        private_sum(model, prepared, SETTINGS, local_mechanism(7, SETTINGS), public_seed=1, secret=SECRET)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip_norm": 0.0},
        {"noise_multiplier": 0.0},
        {"sampling_probability": 1.5},
        {"expected_users": 0.0},
        {"loss": "bce"},
        {"num_drawn": 0},
        {"steps": 0},
        {"learning_rate": 0.0},
        {"users_at_a_time": 0},
    ],
)
def test_refuses_settings_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(SETTINGS, **wrong)


def test_what_decides_privacy_has_no_default() -> None:
    without = {
        field.name
        for field in dataclasses.fields(PrivateTrainingSettings)
        if field.default is dataclasses.MISSING
    }
    assert without == {"clip_norm", "noise_multiplier", "sampling_probability", "expected_users"}
