import numpy as np
import pytest
import torch

from fecosr.harness import bench_training
from fecosr.harness.bench_training import PaddedSASRec, measure, peak_bytes

NUM_ITEMS = 90


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(NUM_ITEMS, size=length).astype(np.int32) for length in (2, 5, 60)]


def test_every_figure_stands_beside_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        bench_training, "_in_new_process", {"ours": 20_000_000, "dense": 50_000_000}.__getitem__
    )
    figures = measure(num_users=40, num_items=NUM_ITEMS)
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names) == 6
    for words in ("training step per target", "S2CE and its gradients", "extra peak memory", "epoch of"):
        assert any(words in name for name in names)
    for figure in figures:
        assert figure.ours > 0.0
        assert figure.reference > 0.0
        assert figure.reference_name
    (memory,) = (figure for figure in figures if figure.unit == "MB")
    assert (memory.ours, memory.reference) == (20.0, 50.0)


def test_memory_is_measured_as_growth_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_training, "LARGE_CATALOGUE", 100)
    sizes = iter((1_000, 5_000))
    monkeypatch.setattr(bench_training, "_status_bytes", lambda _: next(sizes))
    assert peak_bytes("ours") == 4_000


def test_the_padded_peer_is_shown_every_target_once(sequences: list[np.ndarray]) -> None:
    shown: list[tuple[torch.Tensor, ...]] = []
    peer = PaddedSASRec(NUM_ITEMS)
    peer.step = lambda *tensors: shown.append(tensors)  # type: ignore[method-assign]
    bench_training._padded_epoch(peer, sequences)
    ((inputs, positives, negatives),) = shown
    assert inputs.shape == positives.shape == negatives.shape == (3, 50)
    assert sorted((positives > 0).sum(dim=1).tolist()) == [1, 4, 50]
    assert ((negatives > 0) == (positives > 0)).all()
    longest = positives[(positives > 0).all(dim=1)]
    assert longest[0].tolist() == (sequences[2][-50:] + 1).tolist()


def test_the_padded_peer_learns_and_leaves_its_padding_alone() -> None:
    torch.manual_seed(0)
    peer = PaddedSASRec(NUM_ITEMS, dropout=0.0)
    inputs = torch.zeros(1, 50, dtype=torch.int64)
    positives, negatives = inputs.clone(), inputs.clone()
    inputs[0, -2:] = torch.tensor([3, 4])
    positives[0, -2:] = torch.tensor([4, 5])
    negatives[0, -2:] = torch.tensor([7, 8])
    before = peer.items.weight.detach().clone()
    peer.step(inputs, positives, negatives)
    moved = (peer.items.weight != before).any(dim=1)
    assert moved[[3, 4, 5, 7, 8]].all()
    assert not moved[[0, 6, 9]].any()
