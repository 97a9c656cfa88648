"""Differential privacy: what noise, clipping user by user and a whole private step cost, beside peers.

Every pair is measured in turns, because machines get faster and slower while one looks away.
"""

import math
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn
from torch.nn import functional

from fecosr.data.catalogue import Catalogue
from fecosr.data.sequences import ItemArray, MarketSequences
from fecosr.harness.bench_audit import audit_figure, filter_figure
from fecosr.harness.figures import Figure
from fecosr.harness.turns import in_turns
from fecosr.privacy.contributions import from_ring, noisy_sum, to_ring
from fecosr.privacy.discrete_gaussian import sample_discrete_gaussian
from fecosr.recommender.model import ItemTableModel, SequenceModel, SharedModel
from fecosr.recommender.settings import EncoderSettings
from fecosr.training.epochs import train_epoch
from fecosr.training.prepared import PreparedMarket, prepare_without_semantics
from fecosr.training.private import draw_items, local_mechanism, set_gradient, sum_over_users
from fecosr.training.private_settings import PrivateTrainingSettings
from fecosr.training.user_batches import UserBatch, user_batches

NUM_DRAWS: Final = 10_000_000
NOISE_STDDEV: Final = 1 << 16
NUM_USERS: Final = 256
NUM_ITEMS: Final = 12_101
NUM_ROUNDS: Final = 10_000
NUM_CHARGES: Final = 100
NUM_DRAWN: Final = 128
MAX_LENGTH: Final = 50
SEMANTIC_DIMENSION: Final = 256
_LONGEST: Final = MAX_LENGTH + 3
"""Items of a user who fills every position: the last two are kept for evaluation."""
SETTINGS: Final = PrivateTrainingSettings(
    clip_norm=1.0,
    noise_multiplier=1.0,
    sampling_probability=1.0,
    expected_users=NUM_USERS,
    loss="ce",
    num_drawn=NUM_DRAWN,
    users_at_a_time=32,
)
SEED: Final = bytes(range(32))


def measure(
    num_draws: int = NUM_DRAWS,
    num_users: int = NUM_USERS,
    num_items: int = NUM_ITEMS,
    num_rounds: int = NUM_ROUNDS,
) -> list[Figure]:
    """Return the figures of privacy: noise, private steps beside plain ones and Opacus, filter and audit."""
    rng = np.random.default_rng(0)
    short = [
        rng.integers(num_items, size=min(_LONGEST, 6 + int(rng.geometric(0.2)))) for _ in range(num_users)
    ]
    long = [rng.integers(num_items, size=_LONGEST) for _ in range(num_users)]
    return [
        _noise(num_draws),
        *(
            _step(kind, what, [items.astype(np.int32) for items in sequences], num_items)
            for kind in ("shared", "table")
            for what, sequences in (("short", short), ("full", long))
        ),
        _beside_training([items.astype(np.int32) for items in short], num_items),
        _beside_opacus([items.astype(np.int32) for items in long], num_items),
        filter_figure(NUM_CHARGES),
        audit_figure(num_rounds),
    ]


def _noise(num_draws: int) -> Figure:
    rng = np.random.default_rng(0)
    ours, reference = in_turns(
        [
            lambda: sample_discrete_gaussian(SEED, num_draws, NOISE_STDDEV**2),
            lambda: rng.standard_normal(num_draws),
        ]
    )
    return Figure(
        name=f"{num_draws:,} draws of exact integer noise from a cryptographic seed",
        ours=ours,
        reference=reference,
        reference_name="numpy's normal floats from PCG64, neither rounded nor secret",
        unit="s",
    )


def _step(kind: str, what: str, sequences: Sequence[ItemArray], num_items: int) -> Figure:
    """Return the milliseconds of a private step beside one with the same loss that is not private."""
    data = _market(sequences, num_items)
    private, plain = _model(kind, num_items), _model(kind, num_items)
    ours, reference = in_turns(
        [
            partial(_private_step, private, _adam(private), data),
            partial(_plain_step, plain, _adam(plain), data),
        ],
        turns=7,
    )
    return Figure(
        name=f"private step, {kind} model, {len(sequences)} users, {what} histories, {NUM_DRAWN} items drawn",
        ours=ours * 1e3,
        reference=reference * 1e3,
        reference_name="the same step with one gradient for all users, no clip and no noise",
        unit="ms",
    )


def _beside_training(sequences: Sequence[ItemArray], num_items: int) -> Figure:
    data = _market(sequences, num_items)
    private, plain = _model("shared", num_items), _model("shared", num_items)
    ours, reference = in_turns(
        [
            partial(_private_step, private, _adam(private), data),
            partial(_training_pass, plain, _adam(plain), data),
        ],
        turns=7,
    )
    return Figure(
        name=f"private step, shared model, {len(sequences)} users, short histories",
        ours=ours * 1e3,
        reference=reference * 1e3,
        reference_name="training as without privacy: one pass over the same users, full softmax",
        unit="ms",
    )


def _beside_opacus(sequences: Sequence[ItemArray], num_items: int) -> Figure:
    data, model = _market(sequences, num_items), _model("table", num_items)
    peer = _OpacusStep(num_items)
    ours, reference = in_turns(
        [partial(_private_step, model, _adam(model), data), partial(peer.step, data)], turns=2
    )
    return Figure(
        name=f"private step, table of {num_items:,} items, {len(sequences)} users, full histories",
        ours=ours * 1e3,
        reference=reference * 1e3,
        reference_name="Opacus, per-sample gradients by hooks, same shape and loss",
        unit="ms",
    )


def _market(sequences: Sequence[ItemArray], num_items: int) -> PreparedMarket:
    names = tuple(f"{user:05d}" for user in range(len(sequences)))
    catalogue = Catalogue(tuple(f"{item:07d}" for item in range(num_items)))
    data = prepare_without_semantics(MarketSequences("bench", catalogue, names, tuple(sequences)))
    semantics = torch.randn(num_items, SEMANTIC_DIMENSION, generator=torch.Generator().manual_seed(0))
    return PreparedMarket(
        market=data.market,
        num_items=num_items,
        split=data.split,
        semantics=functional.normalize(semantics, dim=1),
        semantics_source="random",
        soft=data.soft,
        hard=data.hard,
    )


def _model(kind: str, num_items: int) -> SequenceModel:
    torch.manual_seed(0)
    encoder = EncoderSettings(max_length=MAX_LENGTH)
    return (
        SharedModel(encoder, SEMANTIC_DIMENSION) if kind == "shared" else ItemTableModel(encoder, num_items)
    )


def _adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.001)


def _private_step(model: SequenceModel, optimiser: torch.optim.Optimizer, data: PreparedMarket) -> None:
    mechanism = local_mechanism(sum(value.numel() for value in model.parameters()), SETTINGS)
    drawn = draw_items(data.num_items, NUM_DRAWN, 0)
    total = sum_over_users(model, data, data.split.train, drawn, SETTINGS, mechanism)
    noisy = from_ring(to_ring(noisy_sum(total, mechanism, SEED)), mechanism)
    set_gradient(model, noisy / np.float32(SETTINGS.expected_users))
    optimiser.step()


def _training_pass(model: SequenceModel, optimiser: torch.optim.Optimizer, data: PreparedMarket) -> None:
    train_epoch(model, data, data.hard, optimiser, batch_size=NUM_USERS, generator=np.random.default_rng(0))


def _plain_step(model: SequenceModel, optimiser: torch.optim.Optimizer, data: PreparedMarket) -> None:
    """Take the same step as anybody would who need not know what a single user contributed."""
    model.eval()
    drawn = torch.from_numpy(draw_items(data.num_items, NUM_DRAWN, 0))
    optimiser.zero_grad()
    for batch in user_batches(
        data.split.train, data.hard, max_length=MAX_LENGTH, users_at_a_time=SETTINGS.users_at_a_time
    ):
        loss = _plain_loss(model, data, batch, drawn) / SETTINGS.expected_users
        loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _plain_loss(model: SequenceModel, data: PreparedMarket, batch: UserBatch, drawn: Tensor) -> Tensor:
    tensors = (part[: batch.num_users] for part in batch.tensors(torch.device("cpu")))
    rows, is_own, inputs, targets, shares, real = tensors
    if isinstance(model, ItemTableModel):
        own, others = model.items[rows], model.items[drawn]  # [B, R, D], [M, D]
    else:
        own, others = model.item_inputs(data.semantics[rows]), model.item_inputs(data.semantics[drawn])
    states = model.encode(own.gather(1, inputs[..., None].expand(-1, -1, own.shape[2])))  # [B, L, D]
    own_logits = states @ own.mT  # [B, L, R]
    wanted = (shares * own_logits.gather(2, targets)).sum(dim=2)  # [B, L]
    taken = (drawn[:, None] == torch.where(is_own, rows, -1)[:, None, :]).any(dim=2)  # [B, M]
    stands_for = ((data.num_items - is_own.sum(dim=1)) / (~taken).sum(dim=1)).log()  # [B]
    other_logits = (states @ others.T + stands_for[:, None, None]).masked_fill(taken[:, None], -math.inf)
    candidates = torch.cat([own_logits.masked_fill(~is_own[:, None], -math.inf), other_logits], dim=2)
    return ((candidates.logsumexp(dim=2) - wanted) * real).sum()


class _OpacusStep:
    """Take private steps as Opacus does on a SASRec of the same shape: hooks, flat clipping, normal noise."""

    def __init__(self, num_items: int) -> None:
        torch.manual_seed(0)
        self.model = GradSampleModule(_OpacusSASRec(num_items), loss_reduction="sum")
        self.optimiser = DPOptimizer(
            torch.optim.Adam(self.model.parameters(), lr=0.001),
            noise_multiplier=1.0,
            max_grad_norm=1.0,
            expected_batch_size=int(SETTINGS.expected_users),
            loss_reduction="sum",
        )

    def step(self, data: PreparedMarket) -> None:
        """Take one step on all users at once, who all have full histories."""
        items = torch.from_numpy(np.stack(data.split.train).astype(np.int64))  # [B, L + 1]
        drawn = torch.from_numpy(draw_items(data.num_items, NUM_DRAWN, 0)).expand(len(items), -1)
        self.optimiser.zero_grad()
        with warnings.catch_warnings():
            # Torch finds fault with the way in which Opacus hooks into its modules.
            warnings.simplefilter("ignore")
            scores = self.model(items[:, :-1], torch.cat([items[:, 1:], drawn], dim=1))  # [B, L, L + M]
            length = scores.shape[1]
            targets = torch.arange(length).expand(len(items), -1)
            losses = functional.cross_entropy(scores.mT, targets, reduction="none")  # [B, L]
            losses.mean(dim=1).sum().backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()


class _OpacusSASRec(nn.Module):
    """Use only layers that Opacus has rules for; the candidates are looked up in the table of the inputs."""

    def __init__(self, num_items: int) -> None:
        super().__init__()
        encoder = EncoderSettings(max_length=MAX_LENGTH)
        self.items = nn.Embedding(num_items, encoder.dimension)
        self.positions = nn.Embedding(encoder.max_length, encoder.dimension)
        self.blocks = nn.ModuleList(_OpacusBlock(encoder) for _ in range(encoder.num_blocks))
        self.norm = nn.LayerNorm(encoder.dimension)

    def forward(self, inputs: Tensor, candidates: Tensor) -> Tensor:
        """Return the scores of each user's candidates at each position."""
        places = torch.arange(inputs.shape[1]).expand_as(inputs)
        states = self.items(inputs) + self.positions(places)  # [B, L, D]
        for block in self.blocks:
            states = block(states)
        scores: Tensor = self.norm(states) @ self.items(candidates).mT
        return scores


class _OpacusBlock(nn.Module):
    def __init__(self, encoder: EncoderSettings) -> None:
        super().__init__()
        dimension, hidden = encoder.dimension, encoder.feed_forward_dimension
        self.num_heads = encoder.num_heads
        self.attention_norm = nn.LayerNorm(dimension)
        self.query_key_value = nn.Linear(dimension, 3 * dimension)
        self.output = nn.Linear(dimension, dimension)
        self.feed_forward_norm = nn.LayerNorm(dimension)
        self.feed_forward = nn.Sequential(
            nn.Linear(dimension, hidden), nn.GELU(), nn.Linear(hidden, dimension)
        )

    def forward(self, states: Tensor) -> Tensor:
        batch, length, dimension = states.shape
        heads = self.query_key_value(self.attention_norm(states)).view(batch, length, 3, self.num_heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        states = states + self.output(mixed.transpose(1, 2).reshape(batch, length, dimension))
        changed: Tensor = states + self.feed_forward(self.feed_forward_norm(states))
        return changed
