import numpy as np
import pytest
import torch

from fecosr.recommender import soft_targets
from fecosr.recommender.losses import soft_cross_entropy
from fecosr.recommender.settings import S2CESettings
from fecosr.recommender.soft_targets import SoftTargets, hard_targets, semantic_targets, smoothed
from tests.reference.soft_targets import dense_loss, dense_targets

NUM_ITEMS = 37
FLAT = S2CESettings(alpha=0.6, tau=5.0, num_neighbours=4, support="catalogue")


@pytest.fixture
def vectors() -> np.ndarray:
    raw = np.random.default_rng(0).normal(size=(NUM_ITEMS, 5)).astype(np.float32)
    normalised: np.ndarray = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return normalised


def written_out(soft: SoftTargets) -> torch.Tensor:
    """Return t_y(j) for all y and j, float32 [V, V]."""
    if soft.items is None:
        full = soft.shares.clone()
    else:
        full = torch.zeros(NUM_ITEMS, NUM_ITEMS).scatter_(1, soft.items, soft.shares)
    return full if soft.uniform is None else full + soft.uniform[:, None] / NUM_ITEMS


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 37 items be too many to store all shares of all of them."""
    monkeypatch.setattr(soft_targets, "_MOST_EXACT_ITEMS", NUM_ITEMS - 1)


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_targets, "_BLOCK_COSINES", 5 * NUM_ITEMS)


@pytest.mark.parametrize("num_neighbours", [1, 6, NUM_ITEMS, 1000])
def test_neighbours_are_the_definition(vectors: np.ndarray, num_neighbours: int) -> None:
    settings = S2CESettings(alpha=0.4, tau=0.3, num_neighbours=num_neighbours)
    expected = dense_targets(vectors, 0.4, 0.3, num_neighbours).float()
    torch.testing.assert_close(written_out(semantic_targets(vectors, settings)), expected)


def test_a_small_catalogue_is_shared_exactly(vectors: np.ndarray) -> None:
    soft = semantic_targets(vectors, FLAT)
    assert soft.items is None
    assert soft.uniform is None
    torch.testing.assert_close(written_out(soft), dense_targets(vectors, 0.6, 5.0, NUM_ITEMS).float())


@pytest.mark.usefixtures("large")
def test_a_large_catalogue_keeps_the_near_and_the_sum_of_the_others(vectors: np.ndarray) -> None:
    soft = semantic_targets(vectors, FLAT)
    assert soft.items is not None
    assert soft.items.shape == (NUM_ITEMS, 4)
    found, exact = written_out(soft), dense_targets(vectors, 0.6, 5.0, NUM_ITEMS).float()
    torch.testing.assert_close(found.gather(1, soft.items), exact.gather(1, soft.items))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(NUM_ITEMS))
    others = found.scatter(1, soft.items, torch.nan)
    assert torch.nanmean((others - others.nanmean(dim=1, keepdim=True)).abs()) < 1e-7
    assert (soft.shares >= 0.0).all()


@pytest.mark.usefixtures("large")
def test_what_lies_beyond_the_neighbours_can_outweigh_them(vectors: np.ndarray) -> None:
    """A flat softmax cut off after four neighbours would give them 1.0 instead of 4 / 37 and a little."""
    uniform = semantic_targets(vectors, FLAT).uniform
    assert uniform is not None
    assert (uniform > 0.8 * 0.6).all()


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("num_neighbours", [NUM_ITEMS, 1000])
def test_nothing_is_left_over_where_every_item_is_a_neighbour(
    vectors: np.ndarray, num_neighbours: int
) -> None:
    settings = S2CESettings(alpha=0.6, tau=0.2, num_neighbours=num_neighbours, support="catalogue")
    exact = dense_targets(vectors, 0.6, 0.2, NUM_ITEMS).float()
    torch.testing.assert_close(written_out(semantic_targets(vectors, settings)), exact, rtol=1e-4, atol=1e-7)


@pytest.mark.usefixtures("large")
def test_loss_and_gradients_of_a_large_catalogue_are_those_of_its_targets(vectors: np.ndarray) -> None:
    generator = torch.Generator().manual_seed(3)
    states = torch.randn(20, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    items = torch.randn(NUM_ITEMS, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(NUM_ITEMS, (20,), generator=generator)
    soft = semantic_targets(vectors, FLAT)
    ours = soft_cross_entropy(states, items, targets, soft)
    expected = dense_loss(states, items, targets, written_out(soft).double())
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-7)
    for mine, theirs in zip(
        torch.autograd.grad(ours, (states, items)),
        torch.autograd.grad(expected, (states, items)),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_shares_sum_to_one_and_the_target_keeps_most_of_a_small_alpha(vectors: np.ndarray) -> None:
    soft = semantic_targets(vectors, S2CESettings(alpha=0.2, tau=0.2, num_neighbours=8))
    assert soft.items is not None
    torch.testing.assert_close(soft.shares.sum(dim=1), torch.ones(NUM_ITEMS))
    assert (soft.shares[:, 0] > 0.8).all()
    assert (soft.items[:, 0] == torch.arange(NUM_ITEMS)).all()


@pytest.mark.parametrize("support", ["neighbours", "catalogue"])
def test_alpha_zero_and_plain_cross_entropy_take_the_same_path(vectors: np.ndarray, support: str) -> None:
    without = semantic_targets(vectors, S2CESettings(alpha=0.0, support=support))  # type: ignore[arg-type]
    hard = hard_targets(NUM_ITEMS)
    assert without.items is not None
    assert hard.items is not None
    assert torch.equal(without.items, hard.items)
    assert torch.equal(without.shares, hard.shares)
    assert without.uniform is None


def test_smoothing_twice_leaves_less_of_the_target() -> None:
    twice = smoothed(smoothed(hard_targets(4), 0.5), 0.5)
    assert twice.uniform is not None
    assert twice.uniform.tolist() == [0.75] * 4
    assert twice.shares.tolist() == [[0.25]] * 4


@pytest.mark.usefixtures("large")
def test_targets_move_to_a_device_whole(vectors: np.ndarray) -> None:
    moved = semantic_targets(vectors, FLAT).to(torch.device("meta"))
    assert moved.items is not None
    assert moved.uniform is not None
    assert {part.device.type for part in (moved.shares, moved.items, moved.uniform)} == {"meta"}
    assert hard_targets(3).to(torch.device("meta")).uniform is None
