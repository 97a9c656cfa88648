from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fecosr.data.sequences import ItemArray
from fecosr.privacy.contributions import UserSum
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.recommender.losses import soft_cross_entropy
from fecosr.recommender.model import ItemTableModel, MarketModel, SequenceModel, SharedModel
from fecosr.recommender.soft_targets import SoftTargets, hard_targets
from fecosr.training.prepared import PreparedMarket
from fecosr.training.seeds import seeded
from fecosr.training.settings import LearningSettings
from fecosr.training.user_batches import user_batches
from fecosr.training.user_gradients import UserGradientFunction, trained_parameters
from tests.reference.slow_user_gradient import user_gradient

ModelMaker = Callable[[str], SequenceModel]

HISTORIES = {
    "two items": [3, 4],
    "one item again and again": [7] * 8,
    "back and forth": [0, 5, 0, 5, 0, 0],
    "longer than the model reads": list(range(20)),
    "item zero, which also pads": [0, 0, 0],
}


@pytest.fixture
def make_model(settings: LearningSettings, prepared: PreparedMarket) -> ModelMaker:
    def make(kind: str) -> SequenceModel:
        with seeded(1, kind):
            shared = SharedModel(settings.encoder, settings.semantics.dimension)
            if kind == "shared":
                return shared
            if kind == "table":
                model: SequenceModel = ItemTableModel(settings.encoder, prepared.num_items)
            else:
                model = MarketModel(shared, prepared.num_items, settings.adapter)
            for value in model.parameters():
                torch.nn.init.normal_(value, std=0.3)
            if kind == "frozen table" and isinstance(model, MarketModel):
                model.adapter.local_items.requires_grad = False
        return model

    return make


def _gradient(
    model: SequenceModel, data: PreparedMarket, soft: SoftTargets, items: list[int], drawn: list[int]
) -> npt.NDArray[np.float64]:
    """Return the gradient of one user in the layout of all trained parameters."""
    function = UserGradientFunction(model, data.semantics, np.array(drawn))
    sequence = np.array(items, np.int32)
    (batch,) = user_batches([sequence], soft, max_length=model.max_length, users_at_a_time=2)
    gradients = function(batch)
    flat = np.zeros(sum(value.numel() for _, value in trained_parameters(model)))
    parts, places = gradients.of(0)
    if places is None:
        flat[:] = np.concatenate(parts)
        return flat
    *dense, rows = parts
    assert len(np.unique(places)) == len(places)
    flat[: sum(len(part) for part in dense)] = np.concatenate(dense)
    flat[places] = rows
    # What stands behind the user's own rows is padding, and it received no gradient at all.
    assert gradients.table is not None
    assert not gradients.table.own[0, len(gradients.table.own_items[0]) :].any()
    return flat


@pytest.mark.parametrize("kind", ["shared", "table", "market", "frozen table"])
@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES.keys())
@pytest.mark.parametrize("drawn", [[0, 3, 5, 9, 11, 23], list(range(24))], ids=["some", "all"])
@pytest.mark.parametrize("loss", ["s2ce", "ce"])
def test_is_what_autograd_says_of_this_user_alone(  # noqa: PLR0917 - one argument per axis
    make_model: ModelMaker,
    prepared: PreparedMarket,
    kind: str,
    history: list[int],
    drawn: list[int],
    loss: str,
) -> None:
    model = make_model(kind)
    soft = prepared.soft if loss == "s2ce" else prepared.hard
    found = _gradient(model, prepared, soft, history, drawn)
    exact = user_gradient(model, prepared.semantics, soft, history, drawn).numpy()
    assert np.linalg.norm(found - exact) <= 3e-6 * np.linalg.norm(exact)


@pytest.mark.parametrize("kind", ["shared", "table"])
def test_with_every_item_drawn_it_is_the_full_softmax(
    make_model: ModelMaker, prepared: PreparedMarket, kind: str
) -> None:
    model, items = make_model(kind).eval(), [3, 8, 3, 1, 20]
    found = _gradient(model, prepared, prepared.soft, items, list(range(24)))
    catalogue = model.item_inputs(prepared.semantics)
    states = model.states(catalogue, torch.tensor([items[:-1]]))[0]
    loss = soft_cross_entropy(states, catalogue, torch.tensor(items[1:]), prepared.soft)
    gradients = torch.autograd.grad(loss, [value for _, value in trained_parameters(model)])
    whole = torch.cat([gradient.flatten() for gradient in gradients]).numpy()
    assert np.linalg.norm(found - whole) <= 1e-5 * np.linalg.norm(whole)


@pytest.mark.parametrize("kind", ["shared", "table", "market"])
def test_every_bit_of_a_users_gradient_is_their_own(
    make_model: ModelMaker, prepared: PreparedMarket, kind: str
) -> None:
    """The integer sum over many users is the sum of what each alone would give, to the last unit."""
    model = make_model(kind)
    num_parameters = sum(value.numel() for _, value in trained_parameters(model))
    mechanism = IntegerMechanism(num_parameters, 0.1, 1 << 22, 1 << 24, 1)
    function = UserGradientFunction(model, prepared.semantics, np.array([0, 3, 5, 9, 11, 23]))

    def total(sequences: list[ItemArray]) -> npt.NDArray[np.int64]:
        users = UserSum(mechanism)
        for batch in user_batches(sequences, prepared.soft, max_length=model.max_length, users_at_a_time=8):
            function(batch).add_to(users)
        return users.total()

    sequences = list(prepared.split.train)
    alone = sum(total([sequence]) for sequence in sequences)
    assert np.array_equal(total(sequences), alone)
    assert np.array_equal(total(sequences[::-1]), alone)
    assert np.abs(alone).max() > 1000


def test_trained_parameters_of_the_shared_model_stand_as_they_are_sent(make_model: ModelMaker) -> None:
    model = make_model("shared")
    assert [name for name, _ in trained_parameters(model)] == [name for name, _ in model.named_parameters()]
    assert [name for name, _ in trained_parameters(make_model("market"))][-1] == "adapter.local_items"


def test_hard_targets_are_soft_targets_of_one_item(make_model: ModelMaker, prepared: PreparedMarket) -> None:
    model = make_model("shared")
    first = _gradient(model, prepared, prepared.hard, [1, 2, 3], [0, 5])
    assert np.array_equal(first, _gradient(model, prepared, hard_targets(24), [1, 2, 3], [0, 5]))
