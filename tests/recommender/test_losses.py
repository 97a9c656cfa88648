import numpy as np
import pytest
import torch
from torch.nn import functional

from fecosr.recommender import losses
from fecosr.recommender.losses import SoftTargets, hard_targets, semantic_targets, soft_cross_entropy
from fecosr.recommender.semantics import semantic_neighbours
from fecosr.recommender.settings import S2CESettings
from tests.reference.soft_targets import dense_loss, dense_targets

NUM_ITEMS, DIMENSION, NUM_ROWS = 37, 6, 20


@pytest.fixture
def vectors() -> np.ndarray:
    raw = np.random.default_rng(0).normal(size=(NUM_ITEMS, 5)).astype(np.float32)
    normalised: np.ndarray = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return normalised


@pytest.fixture
def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    states = torch.randn(NUM_ROWS, DIMENSION, generator=generator, dtype=torch.float64)
    items = torch.randn(NUM_ITEMS, DIMENSION, generator=generator, dtype=torch.float64)
    targets = torch.randint(NUM_ITEMS, (NUM_ROWS,), generator=generator)
    return states.requires_grad_(), items.requires_grad_(), targets


def soft_of(vectors: np.ndarray, settings: S2CESettings) -> SoftTargets:
    return semantic_targets(semantic_neighbours(vectors, settings.num_neighbours), settings)


@pytest.mark.parametrize(
    "settings",
    [
        S2CESettings(alpha=0.3, tau=0.1, num_neighbours=5),
        S2CESettings(alpha=1.0, tau=0.5, num_neighbours=8),
        S2CESettings(alpha=0.7, tau=10.0, num_neighbours=NUM_ITEMS),
        S2CESettings(alpha=0.5, tau=0.2, num_neighbours=1000),
    ],
)
def test_loss_and_gradients_agree_with_a_dense_soft_target(
    vectors: np.ndarray,
    example: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    settings: S2CESettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(losses, "_CHUNK_LOGITS", 3 * NUM_ITEMS)
    states, items, targets = example
    dense = dense_targets(vectors, settings.alpha, settings.tau, settings.num_neighbours)
    ours = soft_cross_entropy(states, items, targets, soft_of(vectors, settings))
    expected = dense_loss(states, items, targets, dense)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-7)
    for mine, theirs in zip(
        torch.autograd.grad(ours, (states, items)),
        torch.autograd.grad(expected, (states, items)),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)


def test_the_gradient_on_the_logits_is_p_minus_t(vectors: np.ndarray) -> None:
    """With one state per axis the state gradient is (p - t) E; with E = I it is p - t itself."""
    settings = S2CESettings(alpha=0.4, tau=0.3, num_neighbours=6)
    logits = torch.randn(1, NUM_ITEMS, dtype=torch.float64, requires_grad=True)
    identity = torch.eye(NUM_ITEMS, dtype=torch.float64)
    loss = soft_cross_entropy(logits, identity, torch.tensor([11]), soft_of(vectors, settings))
    loss.backward()  # type: ignore[no-untyped-call]
    t = dense_targets(vectors, 0.4, 0.3, 6)[11]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0], logits.detach()[0].softmax(dim=0) - t, rtol=1e-6, atol=1e-7)


def test_numerical_gradients_agree(
    vectors: np.ndarray,
    example: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(losses, "_CHUNK_LOGITS", 2 * 9)
    states, items = (tensor.detach()[:9, :4].clone().requires_grad_() for tensor in example[:2])
    targets = example[2][:9] % 9
    soft = soft_of(vectors[:9], S2CESettings(alpha=0.5, tau=0.2, num_neighbours=4))
    assert torch.autograd.gradcheck(
        lambda h, e: 3.0 * soft_cross_entropy(h, e, targets, soft), (states, items), eps=1e-6, atol=1e-7
    )


@pytest.mark.parametrize(
    "settings",
    [
        S2CESettings(alpha=0.0, tau=0.2, num_neighbours=8),
        S2CESettings(alpha=0.8, tau=1e-6, num_neighbours=8),
        S2CESettings(alpha=0.8, tau=0.2, num_neighbours=1),
    ],
    ids=["no alpha", "tau to zero", "no neighbours"],
)
def test_it_falls_back_to_cross_entropy(
    vectors: np.ndarray,
    example: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    settings: S2CESettings,
) -> None:
    states, items, targets = example
    expected = functional.cross_entropy(states @ items.T, targets)
    for soft in (soft_of(vectors, settings), hard_targets(NUM_ITEMS)):
        torch.testing.assert_close(soft_cross_entropy(states, items, targets, soft), expected)


def test_shares_sum_to_one_and_the_target_keeps_most_of_a_small_alpha(vectors: np.ndarray) -> None:
    soft = soft_of(vectors, S2CESettings(alpha=0.2, tau=0.2, num_neighbours=8))
    torch.testing.assert_close(soft.shares.sum(dim=1), torch.ones(NUM_ITEMS))
    assert (soft.shares[:, 0] > 0.8).all()
    assert (soft.items[:, 0] == torch.arange(NUM_ITEMS)).all()


def test_large_logits_neither_overflow_nor_lose_the_target() -> None:
    states = torch.full((2, 1), 1e4)
    items = torch.tensor([[1.0], [0.0], [-1.0]], requires_grad=True)
    loss = soft_cross_entropy(states, items, torch.tensor([0, 2]), hard_targets(3))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(1e4)
    assert items.grad is not None
    assert torch.isfinite(items.grad).all()


def test_inputs_are_left_as_they_were(example: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    states, items, targets = example
    copies = states.detach().clone(), items.detach().clone()
    soft_cross_entropy(states, items, targets, hard_targets(NUM_ITEMS)).backward()  # type: ignore[no-untyped-call]
    assert torch.equal(states.detach(), copies[0])
    assert torch.equal(items.detach(), copies[1])
