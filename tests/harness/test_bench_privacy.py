import numpy as np
import pytest
import torch

from fecosr.data.sequences import ItemArray
from fecosr.harness import bench_privacy
from fecosr.harness.bench_privacy import measure
from fecosr.recommender.model import ItemTableModel, SharedModel
from fecosr.training.parameters import flatten
from fecosr.training.private import draw_items
from fecosr.training.user_batches import user_batches
from fecosr.training.user_gradients import UserGradientFunction

NUM_ITEMS = 200


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def sequences() -> list[ItemArray]:
    rng = np.random.default_rng(0)
    return [rng.integers(NUM_ITEMS, size=length).astype(np.int32) for length in (2, 5, 53)]


@pytest.mark.slow
def test_every_figure_stands_beside_its_reference() -> None:
    figures = measure(num_draws=1000, num_users=6, num_items=NUM_ITEMS, num_rounds=2)
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names) == 9
    assert any("Opacus" in figure.reference_name for figure in figures)
    for figure in figures:
        assert figure.ours > 0.0
        assert figure.reference > 0.0


@pytest.mark.parametrize("kind", ["shared", "table"])
def test_the_plain_step_has_the_loss_of_the_private_one(kind: str, sequences: list[ItemArray]) -> None:
    data, model = bench_privacy._market(sequences, NUM_ITEMS), bench_privacy._model(kind, NUM_ITEMS).eval()
    assert isinstance(model, SharedModel | ItemTableModel)
    drawn = draw_items(NUM_ITEMS, 50, 0)
    function = UserGradientFunction(model, data.semantics, drawn)
    for batch in user_batches(data.split.train, data.hard, max_length=50, users_at_a_time=4):
        plain = bench_privacy._plain_loss(model, data, batch, torch.from_numpy(drawn))
        user = batch.tensors(torch.device("cpu"))
        if isinstance(model, ItemTableModel):
            own, others = model.items[user[0]], model.items[drawn]
        else:
            own, others = model.item_inputs(data.semantics[user[0]]), model.item_inputs(data.semantics[drawn])
        losses = function.losses(own, others.expand(len(own), -1, -1), user)
        ours = losses[: batch.num_users].sum().item()
        assert plain.item() == pytest.approx(ours, rel=1e-5)


def test_the_peer_takes_private_steps(sequences: list[ItemArray]) -> None:
    full = [sequences[-1]] * 3
    peer = bench_privacy._OpacusStep(NUM_ITEMS)
    before = flatten(peer.model)
    peer.step(bench_privacy._market(full, NUM_ITEMS))
    assert peer.optimiser.noise_multiplier == 1.0
    assert peer.optimiser.max_grad_norm == 1.0
    assert not np.array_equal(before, flatten(peer.model))
