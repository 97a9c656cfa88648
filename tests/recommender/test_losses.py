from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from fecosr.recommender import catalogue_products, losses
from fecosr.recommender.losses import soft_cross_entropy
from fecosr.recommender.settings import Precision, S2CESettings
from fecosr.recommender.soft_targets import SoftTargets, hard_targets, semantic_targets, smoothed
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


@pytest.mark.parametrize(
    "settings",
    [
        S2CESettings(alpha=0.3, tau=0.1, num_neighbours=5),
        S2CESettings(alpha=1.0, tau=0.5, num_neighbours=8),
        S2CESettings(alpha=0.7, tau=10.0, num_neighbours=NUM_ITEMS),
        S2CESettings(alpha=0.5, tau=0.2, num_neighbours=1000),
        S2CESettings(alpha=0.6, tau=0.2, num_neighbours=4, support="catalogue"),
    ],
)
def test_loss_and_gradients_agree_with_a_dense_soft_target(
    vectors: np.ndarray,
    example: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    settings: S2CESettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(losses, "_GOOD_ROWS", 1)
    monkeypatch.setattr(losses, "_CACHED_LOGITS", 3 * NUM_ITEMS)
    states, items, targets = example
    most = NUM_ITEMS if settings.support == "catalogue" else settings.num_neighbours
    dense = dense_targets(vectors, settings.alpha, settings.tau, most)
    ours = soft_cross_entropy(states, items, targets, semantic_targets(vectors, settings))
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
    loss = soft_cross_entropy(logits, identity, torch.tensor([11]), semantic_targets(vectors, settings))
    loss.backward()  # type: ignore[no-untyped-call]
    t = dense_targets(vectors, 0.4, 0.3, 6)[11]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0], logits.detach()[0].softmax(dim=0) - t, rtol=1e-6, atol=1e-7)


def test_numerical_gradients_agree(
    vectors: np.ndarray,
    example: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(losses, "_GOOD_ROWS", 1)
    monkeypatch.setattr(losses, "_CACHED_LOGITS", 2 * 9)
    states, items = (tensor.detach()[:9, :4].clone().requires_grad_() for tensor in example[:2])
    targets = example[2][:9] % 9
    soft = semantic_targets(vectors[:9], S2CESettings(alpha=0.5, tau=0.2, num_neighbours=4))
    assert torch.autograd.gradcheck(
        lambda h, e: 3.0 * soft_cross_entropy(h, e, targets, soft), (states, items), eps=1e-6, atol=1e-7
    )


@pytest.mark.parametrize(
    "settings",
    [
        S2CESettings(alpha=0.0, tau=0.2, num_neighbours=8),
        S2CESettings(alpha=0.8, tau=1e-6, num_neighbours=8),
        S2CESettings(alpha=0.8, tau=0.2, num_neighbours=1),
        S2CESettings(alpha=0.0, tau=0.2, support="catalogue"),
        S2CESettings(alpha=0.8, tau=1e-6, support="catalogue"),
    ],
    ids=["no alpha", "tau to zero", "no neighbours", "no alpha over all", "tau to zero over all"],
)
def test_it_falls_back_to_cross_entropy(
    vectors: np.ndarray,
    example: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    settings: S2CESettings,
) -> None:
    states, items, targets = example
    expected = functional.cross_entropy(states @ items.T, targets)
    for soft in (semantic_targets(vectors, settings), hard_targets(NUM_ITEMS)):
        torch.testing.assert_close(soft_cross_entropy(states, items, targets, soft), expected)


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


class LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remember the size of the largest storage that any operation returned."""

    size_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.size_bytes = max(self.size_bytes, result.untyped_storage().nbytes())
        return result


@pytest.mark.parametrize("num_neighbours", [1, 8])
def test_no_temporary_grows_with_batch_times_items(num_neighbours: int) -> None:
    """All logits would be 160 MB; gradients of the table are 3.2 MB."""
    num_items, num_rows = 200_000, 200
    states = torch.randn(num_rows, 4, requires_grad=True)
    items = torch.randn(num_items, 4, requires_grad=True)
    columns = torch.arange(num_items)[:, None] + torch.arange(num_neighbours)
    soft = SoftTargets(torch.full((num_items, num_neighbours), 1 / num_neighbours), columns % num_items)
    with LargestTensor() as largest:  # type: ignore[no-untyped-call]
        loss = soft_cross_entropy(states, items, torch.arange(num_rows), soft)
        loss.backward()  # type: ignore[no-untyped-call]
    assert 3_200_000 <= largest.size_bytes <= 32 << 20


@pytest.mark.parametrize("num_items", [1, 5, 3_000, 100_000, 1 << 23])
def test_chunks_fit_in_memory_and_are_as_tall_as_they_can_be(num_items: int) -> None:
    rows = losses._rows_at_a_time(1 << 20, num_items)
    assert rows == 1 or rows * num_items * 4 <= 32 << 20
    assert rows >= min(128, (16 << 20) // (4 * num_items))
    assert losses._rows_at_a_time(3, num_items) <= 3


@pytest.mark.parametrize("good_rows", [1, 7, 20])
def test_the_result_does_not_depend_on_the_chunks(
    example: tuple[torch.Tensor, torch.Tensor, torch.Tensor], good_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, items, targets = example
    whole = soft_cross_entropy(states, items, targets, hard_targets(NUM_ITEMS))
    monkeypatch.setattr(losses, "_CACHED_LOGITS", 1)
    monkeypatch.setattr(losses, "_GOOD_ROWS", good_rows)
    cut = soft_cross_entropy(states, items, targets, hard_targets(NUM_ITEMS))
    torch.testing.assert_close(cut, whole, rtol=1e-14, atol=0.0)
    for mine, theirs in zip(
        torch.autograd.grad(cut, (states, items)), torch.autograd.grad(whole, (states, items)), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-14)


def test_single_precision_agrees_with_double_at_twelve_thousand_items() -> None:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(40, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    items = torch.randn(12_101, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(12_101, (40,), generator=generator)
    expected = functional.cross_entropy(states @ items.T, targets)
    single = tuple(tensor.detach().float().requires_grad_() for tensor in (states, items))
    ours = soft_cross_entropy(single[0], single[1], targets, hard_targets(12_101))
    assert ours.item() == pytest.approx(expected.item(), rel=1e-6)
    wanted = torch.autograd.grad(expected, (states, items))
    for mine, theirs in zip(torch.autograd.grad(ours, single), wanted, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=1e-6)


def loss_and_gradients(precision: Precision) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(50, 32, generator=generator, requires_grad=True)
    items = (0.2 * torch.randn(700, 32, generator=generator)).requires_grad_()
    targets = torch.randint(700, (50,), generator=generator)
    shares = torch.full((700, 4), 0.25)
    columns = (torch.arange(700)[:, None] + torch.arange(4)) % 700
    loss = soft_cross_entropy(states, items, targets, SoftTargets(shares, columns), precision)
    return [loss.detach(), *torch.autograd.grad(loss, (states, items))]


def test_bfloat16_products_agree_to_the_digits_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no instructions for it torch still computes it, only slowly."""
    monkeypatch.setattr(catalogue_products, "gains_by_bfloat16", lambda _: True)
    for half, single in zip(loss_and_gradients("bfloat16"), loss_and_gradients("float32"), strict=True):
        assert half.dtype == torch.float32
        assert not torch.equal(half, single)
        assert (half - single).norm() < 0.02 * single.norm()


def test_bfloat16_is_single_precision_where_it_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_products, "gains_by_bfloat16", lambda _: False)
    for half, single in zip(loss_and_gradients("bfloat16"), loss_and_gradients("float32"), strict=True):
        assert torch.equal(half, single)


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_smoothing_spreads_a_share_over_all_items_alike(
    vectors: np.ndarray, example: tuple[torch.Tensor, torch.Tensor, torch.Tensor], smoothing: float
) -> None:
    states, items, targets = example
    settings = S2CESettings(alpha=0.3, tau=0.2, num_neighbours=5)
    dense = (1 - smoothing) * dense_targets(vectors, 0.3, 0.2, 5) + smoothing / NUM_ITEMS
    ours = soft_cross_entropy(
        states, items, targets, smoothed(semantic_targets(vectors, settings), smoothing)
    )
    expected = dense_loss(states, items, targets, dense)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-7)
    for mine, theirs in zip(
        torch.autograd.grad(ours, (states, items)),
        torch.autograd.grad(expected, (states, items)),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)


def test_smoothed_hard_targets_are_label_smoothing(
    example: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    states, items, targets = example
    ours = soft_cross_entropy(states, items, targets, smoothed(hard_targets(NUM_ITEMS), 0.2))
    expected = functional.cross_entropy(states @ items.T, targets, label_smoothing=0.2)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-7)


class PartOfThree:
    """Be one part of the catalogue of a test, which knows from elsewhere what all parts come to."""

    num_shards, num_items, most_rows = 3, NUM_ITEMS, 13

    def __init__(self, whole: torch.Tensor, rows: slice) -> None:
        self.whole = whole.detach()
        self.rows = rows

    def log_normaliser(self, own: torch.Tensor) -> torch.Tensor:
        assert (own <= self.whole).all()
        return self.whole

    def columns(self, soft: SoftTargets) -> SoftTargets:
        if soft.items is None:
            return SoftTargets(soft.shares[:, self.rows], None, soft.uniform)
        own = (soft.items >= self.rows.start) & (soft.items < self.rows.stop)
        return SoftTargets(soft.shares * own, (soft.items - self.rows.start) * own, soft.uniform)


@pytest.mark.parametrize("support", ["neighbours", "catalogue"])
def test_parts_of_a_catalogue_add_up_to_the_whole(
    vectors: np.ndarray,
    example: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    support: Literal["neighbours", "catalogue"],
) -> None:
    states, items, targets = example
    soft = smoothed(
        semantic_targets(vectors, S2CESettings(alpha=0.6, num_neighbours=5, support=support)), 0.1
    )
    whole = soft_cross_entropy(states, items, targets, soft)
    grad_states, grad_items = torch.autograd.grad(whole, (states, items))
    normaliser = torch.logsumexp(states @ items.T, dim=1)

    loss, summed, of_items = 0.0, torch.zeros_like(states), []
    for rows in (slice(0, 13), slice(13, 25), slice(25, NUM_ITEMS)):
        part = PartOfThree(normaliser, rows)
        own = items.detach()[rows].requires_grad_()
        share = soft_cross_entropy(states, own, targets, part.columns(soft), shard=part)
        of_part = torch.autograd.grad(share, (states, own))
        loss, summed = loss + share.item(), summed + of_part[0]
        of_items.append(of_part[1])
    assert loss == pytest.approx(whole.item(), rel=1e-9)
    torch.testing.assert_close(summed, grad_states)
    torch.testing.assert_close(torch.cat(of_items), grad_items)
