"""How much one user can change what is released: ours, and that of mistakes that private libraries make."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fecosr.data.sequences import ItemArray
from fecosr.privacy.contributions import noisy_sum
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.recommender.model import ItemTableModel, MarketModel, SequenceModel, SharedModel
from fecosr.recommender.settings import EncoderSettings
from fecosr.training import private
from fecosr.training.parameters import flatten
from fecosr.training.prepared import PreparedMarket
from fecosr.training.private import draw_items, local_mechanism, sum_over_users, train_privately
from fecosr.training.private_settings import PrivateTrainingSettings
from fecosr.training.seeds import seeded
from fecosr.training.settings import LearningSettings
from fecosr.training.user_gradients import trained_parameters
from tests.reference.influence import SumOverUsers, adversarial_users, largest_influence

CLIP_NORM = 0.05
SETTINGS = PrivateTrainingSettings(
    clip_norm=CLIP_NORM,
    noise_multiplier=1.0,
    sampling_probability=1.0,
    expected_users=20,
    num_drawn=10,
    users_at_a_time=8,
)


def _model(kind: str, encoder: EncoderSettings, learning: LearningSettings, num_items: int) -> SequenceModel:
    with seeded(1, kind):
        shared = SharedModel(encoder, learning.semantics.dimension)
        model: SequenceModel = shared
        if kind == "table":
            model = ItemTableModel(encoder, num_items)
        elif kind == "market":
            model = MarketModel(shared, num_items, learning.adapter)
        for value in model.parameters():
            torch.nn.init.normal_(value, std=0.3)
    return model


@pytest.mark.parametrize("kind", ["shared", "table", "market"])
@pytest.mark.parametrize("shape", ["tiny", "shipped"])
@pytest.mark.parametrize("loss", ["s2ce", "ce"])
def test_nobody_changes_the_sum_by_more_than_clip_norm(
    prepared: PreparedMarket, settings: LearningSettings, kind: str, shape: str, loss: str
) -> None:
    model = _model(
        kind, settings.encoder if shape == "tiny" else EncoderSettings(), settings, prepared.num_items
    )
    num_parameters = sum(value.numel() for _, value in trained_parameters(model))
    private = PrivateTrainingSettings(
        clip_norm=CLIP_NORM,
        noise_multiplier=1.0,
        sampling_probability=1.0,
        expected_users=20,
        num_drawn=10,
        users_at_a_time=8,
        loss="s2ce" if loss == "s2ce" else "ce",
    )
    mechanism = local_mechanism(num_parameters, private)
    drawn = draw_items(prepared.num_items, private.num_drawn, 3)

    def ours(users: Sequence[ItemArray]) -> npt.NDArray[np.int64]:
        return sum_over_users(model, prepared, users, drawn, private, mechanism)

    few = prepared.split.train[:6]
    found = largest_influence(ours, few, adversarial_users(prepared.num_items, model.max_length))
    # In whole units, so not even rounding is in between; and the bound is nearly reached.
    assert 0.99 * mechanism.clip_units < found <= mechanism.clip_units


def test_nobody_changes_any_step_of_mode_local_by_more_than_clip_norm(
    prepared: PreparedMarket, settings: LearningSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given what earlier steps released, with and without the user: that is what a round composes."""
    model = _model("shared", settings.encoder, settings, prepared.num_items)
    assert isinstance(model, SharedModel)
    shared = flatten(model)
    steps = dataclasses.replace(SETTINGS, steps=3, learning_rate=0.05)
    mechanism = local_mechanism(len(shared), steps)
    released: list[npt.NDArray[np.int64]] = []

    def sums(users: Sequence[ItemArray]) -> npt.NDArray[np.int64]:
        """Return the sums of all steps before the noise, while every run is shown the same noisy sums."""
        found: list[npt.NDArray[np.int64]] = []

        def noisy(total: npt.NDArray[np.int64], of: IntegerMechanism, secret: bytes) -> object:
            found.append(total)
            if len(released) < steps.steps:
                released.append(noisy_sum(total, of, secret))
            return released[len(found) - 1]

        monkeypatch.setattr(private, "noisy_sum", noisy)
        data = dataclasses.replace(prepared, split=dataclasses.replace(prepared.split, train=tuple(users)))
        train_privately(model, data, shared, steps, mechanism, public_seed=1, secret=bytes(32))
        return np.stack(found)

    few = list(prepared.split.train[:6])
    without = sums(few)
    for user in adversarial_users(prepared.num_items, model.max_length):
        change = np.linalg.norm(sums([*few, user]) - without, axis=1)
        assert change.shape == (3,)
        assert change.max() <= mechanism.clip_units * (1 + 1e-6)
        assert change.min() > 0.99 * mechanism.clip_units or len(user) < 2


class Mistaken:
    """Clip per user in floating point as private libraries do, with one mistake, on a tied table."""

    def __init__(self, model: ItemTableModel, mistake: str, clip_norm: float) -> None:
        self.model, self.mistake, self.clip_norm = model.eval(), mistake, clip_norm
        self.parameters = [value for _, value in trained_parameters(model)]

    def __call__(self, users: Sequence[ItemArray]) -> npt.NDArray[np.float64]:
        total = torch.zeros(sum(value.numel() for value in self.parameters), dtype=torch.float64)
        with_target = [user[-(self.model.max_length + 1) :] for user in users if len(user) > 1]
        num_targets = sum(len(user) - 1 for user in with_target)
        for user in with_target:
            gradient, counted = self._gradient(user, num_targets / max(1, len(with_target)))
            total += gradient * min(1.0, self.clip_norm / float(counted.norm()))
        return total.numpy()

    def _gradient(self, user: ItemArray, mean_targets: float) -> tuple[Tensor, Tensor]:
        """Return a user's gradient, and what its norm is taken of."""
        items = torch.from_numpy(user.astype(np.int64))
        if self.mistake == "padding":
            items = functional.pad(items, (0, self.model.max_length + 1 - len(items)))
        table = self.model.items
        divisor = mean_targets if self.mistake == "mean over the batch" else len(items) - 1
        gradient = self._of_loss(items, table, divisor)
        counted = gradient
        if self.mistake == "ghost norm of a tied table":
            counted = self._of_loss(items, table.detach(), divisor)
        if self.mistake == "padding":
            counted = gradient.clone()
            start = len(gradient) - table.numel()
            counted[start : start + table.shape[1]] = 0.0
        return gradient, counted

    def _of_loss(self, items: Tensor, outputs: Tensor, divisor: float) -> Tensor:
        states = self.model.states(self.model.items, items[None, :-1])[0]
        loss = functional.cross_entropy(states @ outputs.T, items[1:], reduction="sum") / divisor
        parts = torch.autograd.grad(loss, self.parameters)
        return torch.cat([part.flatten() for part in parts]).double()


@pytest.fixture
def table_model(prepared: PreparedMarket, settings: LearningSettings) -> ItemTableModel:
    model = _model("table", settings.encoder, settings, prepared.num_items)
    assert isinstance(model, ItemTableModel)
    return model


def _influence(sums: SumOverUsers, prepared: PreparedMarket, model: SequenceModel) -> float:
    users = adversarial_users(prepared.num_items, model.max_length)
    return largest_influence(sums, [prepared.split.train[0][:3]] * 40, users)


def test_the_measurement_passes_the_same_code_without_a_mistake(
    prepared: PreparedMarket, table_model: ItemTableModel
) -> None:
    found = _influence(Mistaken(table_model, "none", CLIP_NORM), prepared, table_model)
    assert 0.99 * CLIP_NORM < found <= CLIP_NORM * (1 + 1e-6)


@pytest.mark.parametrize("mistake", ["ghost norm of a tied table", "padding"])
def test_the_measurement_catches_a_norm_that_misses_a_part(
    prepared: PreparedMarket, table_model: ItemTableModel, mistake: str
) -> None:
    assert _influence(Mistaken(table_model, mistake, CLIP_NORM), prepared, table_model) > 1.05 * CLIP_NORM


def test_the_measurement_catches_a_mean_that_couples_users(
    prepared: PreparedMarket, table_model: ItemTableModel
) -> None:
    alone = Mistaken(table_model, "none", 1e9)
    clip_norm = float(np.linalg.norm(alone([prepared.split.train[0][:3]]))) * 1.5
    assert (
        _influence(Mistaken(table_model, "mean over the batch", clip_norm), prepared, table_model)
        > 1.5 * clip_norm
    )
