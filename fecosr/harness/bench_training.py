"""Training: the full softmax over a whole catalogue, beside what one would write without thinking about it.

All data are generated in the shape of Amazon Beauty: as many users and items, sequences as short.
Every pair is measured in turns, because machines get faster and slower while one looks away.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fecosr.data.batches import Batch, bucketed_batches
from fecosr.data.catalogue import Catalogue
from fecosr.data.sequences import ItemArray, MarketSequences
from fecosr.harness.figures import Figure
from fecosr.harness.turns import in_turns
from fecosr.recommender.losses import soft_cross_entropy
from fecosr.recommender.model import ItemTableModel, real_positions
from fecosr.recommender.settings import EncoderSettings, Precision
from fecosr.recommender.soft_targets import SoftTargets, hard_targets
from fecosr.training.devices import torch_device
from fecosr.training.epochs import train_epoch, train_step
from fecosr.training.prepared import PreparedMarket, prepare_without_semantics
from fecosr.training.settings import Device

NUM_USERS: Final = 22_363
NUM_ITEMS: Final = 12_101
MEAN_LENGTH: Final = 8.9
DIMENSION: Final = 64
MAX_LENGTH: Final = 50
BATCH_SIZE: Final = 256
LEARNING_RATE: Final = 0.001
NUM_NEIGHBOURS: Final = 16
ROWS: Final = 768
LARGE_CATALOGUE: Final = 100_000
LARGE_ROWS: Final = 512
MEGABYTE: Final = 1e6

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def measure(num_users: int = NUM_USERS, num_items: int = NUM_ITEMS, device: Device = "cpu") -> list[Figure]:
    """Return the figures of training: whole steps, S2CE beside CE, memory, and an epoch beside a peer's.

    Memory is that of the processor's kernel, whatever the device.
    """
    market = _market(num_users, num_items, np.random.default_rng(0))
    data = prepare_without_semantics(market).on(torch_device(device))
    return [
        *_steps(data),
        _s2ce_beside_ce(num_items, data.device),
        _memory(),
        *_epochs(data),
    ]


def _market(num_users: int, num_items: int, rng: np.random.Generator) -> MarketSequences:
    """Return users with 5 and more interactions, most of them few, with items after Zipf's law."""
    lengths = np.minimum(4 + rng.geometric(1 / (MEAN_LENGTH - 4), num_users), 200)
    popularity = 1.0 / np.arange(10, num_items + 10) ** 0.8
    drawn = rng.choice(num_items, size=int(lengths.sum()), p=popularity / popularity.sum())
    return MarketSequences(
        market="bench",
        catalogue=Catalogue(tuple(f"{item:07d}" for item in range(num_items))),
        user_ids=tuple(f"{user:07d}" for user in range(num_users)),
        sequences=tuple(np.split(drawn.astype(np.int32), np.cumsum(lengths)[:-1])),
    )


def _steps(data: PreparedMarket, num_batches: int = 12) -> list[Figure]:
    """Return microseconds per target of whole optimiser steps, our loss beside a dense one."""
    every = list(bucketed_batches(data.split.train, MAX_LENGTH, BATCH_SIZE, np.random.default_rng(1)))
    batches = every[:num_batches]
    targets = sum(int(batch.lengths.sum()) for batch in batches)
    single, half, dense = in_turns(
        [
            partial(_our_steps, *_model(data), data, batches, "float32"),
            partial(_our_steps, *_model(data), data, batches, "bfloat16"),
            partial(_dense_steps, *_model(data), batches),
        ]
    )
    what = f"training step per target, {data.num_items:,} items, d={DIMENSION}, two blocks"
    threads = torch.get_num_threads()
    return [
        Figure(
            name=f"{what}, {precision} ({targets / seconds:,.0f} targets/s, {threads} threads)",
            ours=seconds / targets * 1e6,
            reference=dense / targets * 1e6,
            reference_name="the same step with cross-entropy on all logits by autograd",
            unit="us",
        )
        for precision, seconds in (("float32", single), ("bfloat16", half))
    ]


def _s2ce_beside_ce(num_items: int, device: torch.device) -> Figure:
    """Return the seconds of S2CE, forward and backward, beside cross-entropy with the same kernel."""
    states, items, targets = (part.detach().to(device) for part in _problem(ROWS, num_items))
    states.requires_grad_()
    items.requires_grad_()
    soft = _soft_targets(num_items)
    ours, reference = in_turns(
        [
            partial(_gradients, partial(soft_cross_entropy, soft=kind.to(device)), states, items, targets)
            for kind in (soft, hard_targets(num_items))
        ],
        turns=15,
    )
    return Figure(
        name=f"S2CE and its gradients, {ROWS} targets, {num_items:,} items, K={NUM_NEIGHBOURS}",
        ours=ours * 1e3,
        reference=reference * 1e3,
        reference_name="cross-entropy with the same kernel",
        unit="ms",
    )


def _memory() -> Figure:
    """Return the peak of resident memory above states and items, each measured in a process of its own."""
    ours, reference = (_in_new_process(kind) for kind in ("ours", "dense"))
    return Figure(
        name=f"extra peak memory of S2CE and its gradients, {LARGE_ROWS} targets, {LARGE_CATALOGUE:,} items",
        ours=ours / MEGABYTE,
        reference=reference / MEGABYTE,
        reference_name="cross-entropy on all logits by autograd",
        unit="MB",
    )


def _epochs(data: PreparedMarket) -> list[Figure]:
    """Return the seconds of an epoch beside one of a padded peer that is shown one negative per target."""
    single, half, padded = in_turns(
        [
            partial(_our_epoch, *_model(data), data, "float32"),
            partial(_our_epoch, *_model(data), data, "bfloat16"),
            partial(_padded_epoch, PaddedSASRec(data.num_items).to(data.device), data.split.train),
        ],
        turns=2,
    )
    what = f"epoch of {len(data.split.train):,} users, {data.num_items:,} items, full softmax"
    return [
        Figure(
            name=f"{what}, {precision}",
            ours=seconds,
            reference=padded,
            reference_name=f"SASRec padded to {MAX_LENGTH}, binary cross-entropy with one negative",
            unit="s",
        )
        for precision, seconds in (("float32", single), ("bfloat16", half))
    ]


def _model(data: PreparedMarket) -> tuple[ItemTableModel, torch.optim.Optimizer]:
    torch.manual_seed(0)
    encoder = EncoderSettings(dimension=DIMENSION, num_blocks=2, max_length=MAX_LENGTH)
    model = ItemTableModel(encoder, data.num_items).to(data.device).train()
    return model, torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)


def _our_steps(
    model: ItemTableModel,
    optimiser: torch.optim.Optimizer,
    data: PreparedMarket,
    batches: Sequence[Batch],
    precision: Precision,
) -> None:
    for batch in batches:
        train_step(model, data, data.hard, optimiser, batch, precision=precision)


def _dense_steps(model: ItemTableModel, optimiser: torch.optim.Optimizer, batches: Sequence[Batch]) -> None:
    """Take the same steps with all logits at once, as every tutorial does."""
    for batch in batches:
        device = model.items.device
        inputs = torch.from_numpy(batch.inputs).to(device)  # [B, L]
        real = real_positions(torch.from_numpy(batch.lengths).to(device), inputs.shape[1])  # [B, L]
        states = model.states(model.items, inputs)[real]  # [N, D]
        loss = _dense_loss(states, model.items, torch.from_numpy(batch.targets).to(device)[real])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def _our_epoch(
    model: ItemTableModel, optimiser: torch.optim.Optimizer, data: PreparedMarket, precision: Precision
) -> None:
    generator = np.random.default_rng(2)
    train_epoch(
        model, data, data.hard, optimiser, batch_size=BATCH_SIZE, precision=precision, generator=generator
    )


def _dense_loss(states: Tensor, items: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(states @ items.T, targets)


def _problem(rows: int, num_items: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(rows, DIMENSION, generator=generator).requires_grad_()
    items = (0.1 * torch.randn(num_items, DIMENSION, generator=generator)).requires_grad_()
    return states, items, torch.randint(num_items, (rows,), generator=generator)


def _soft_targets(num_items: int) -> SoftTargets:
    neighbours = (torch.arange(num_items)[:, None] + torch.arange(NUM_NEIGHBOURS) * 97) % num_items
    return SoftTargets(torch.full(neighbours.shape, 1 / NUM_NEIGHBOURS), neighbours)


def _gradients(loss: Loss, states: Tensor, items: Tensor, targets: Tensor) -> None:
    torch.autograd.grad(loss(states, items, targets), (states, items))


def _in_new_process(kind: Literal["ours", "dense"]) -> int:
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(peak_bytes, kind).result()


def peak_bytes(kind: Literal["ours", "dense"]) -> int:
    """Return how far one loss and its gradients raise this process above its memory; run it in a new one."""
    soft = _soft_targets(LARGE_CATALOGUE)
    loss: Loss = _dense_loss if kind == "dense" else partial(soft_cross_entropy, soft=soft)
    _gradients(_dense_loss, *_problem(4, 8))
    problem = _problem(LARGE_ROWS, LARGE_CATALOGUE)
    before = _status_bytes("VmRSS")
    _gradients(loss, *problem)
    return _status_bytes("VmHWM") - before


def _status_bytes(name: str) -> int:
    """Return a size that Linux keeps of this process; unlike getrusage it knows nothing of our parent."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


class PaddedSASRec(nn.Module):
    """Train as widely used public implementations do: left padding to 50, one negative per target.

    Item 0 is the padding. As there, attention masks what comes later, padded positions are computed and then
    left out of the loss, and the optimiser is Adam with its second moment at 0.98.

    Reference: Kang and McAuley 2018, "Self-Attentive Sequential Recommendation", and its ports to PyTorch.
    """

    def __init__(self, num_items: int, num_blocks: int = 2, num_heads: int = 2, dropout: float = 0.2) -> None:
        super().__init__()
        self.num_items = num_items
        self.items = nn.Embedding(num_items + 1, DIMENSION, padding_idx=0)
        self.positions = nn.Embedding(MAX_LENGTH, DIMENSION)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                DIMENSION, num_heads, 2 * DIMENSION, dropout, batch_first=True, norm_first=True
            )
            for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(DIMENSION)
        self.later: Tensor
        self.register_buffer("later", nn.Transformer.generate_square_subsequent_mask(MAX_LENGTH))
        self.optimiser = torch.optim.Adam(self.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98))

    def step(self, inputs: Tensor, positives: Tensor, negatives: Tensor) -> None:
        """Take one optimiser step on sequences, targets and negatives, each [B, L] with 0 on the left."""
        states = self.items(inputs) * math.sqrt(DIMENSION) + self.positions.weight  # [B, L, D]
        states = self.dropout(states)
        for block in self.blocks:
            states = block(states, src_mask=self.later)
        states = self.norm(states)  # [B, L, D]
        for_positives = (states * self.items(positives)).sum(dim=-1)  # [B, L]
        for_negatives = (states * self.items(negatives)).sum(dim=-1)  # [B, L]
        real = positives != 0
        binary = functional.binary_cross_entropy_with_logits
        loss = binary(for_positives[real], torch.ones_like(for_positives[real]))
        loss = loss + binary(for_negatives[real], torch.zeros_like(for_negatives[real]))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()


def _padded_epoch(model: PaddedSASRec, sequences: Sequence[ItemArray]) -> None:
    """Show a padded model every user once, in random order."""
    rng = np.random.default_rng(3)
    device = model.items.weight.device
    order = rng.permutation(len(sequences))
    for start in range(0, len(order), BATCH_SIZE):
        users = order[start : start + BATCH_SIZE]
        inputs = np.zeros((len(users), MAX_LENGTH), np.int64)  # [B, L]
        positives = np.zeros_like(inputs)  # [B, L]
        for row, user in enumerate(users):
            recent = sequences[user][-(MAX_LENGTH + 1) :] + 1
            inputs[row, MAX_LENGTH - len(recent) + 1 :] = recent[:-1]
            positives[row, MAX_LENGTH - len(recent) + 1 :] = recent[1:]
        negatives = rng.integers(1, model.num_items + 1, size=inputs.shape) * (positives > 0)
        model.step(*(torch.from_numpy(part).to(device) for part in (inputs, positives, negatives)))
