"""One pass over a market's training sequences, and a run of passes that keeps the best."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from fecosr.data.batches import Batch, bucketed_batches
from fecosr.recommender.losses import soft_cross_entropy
from fecosr.recommender.metrics import RankingMetrics
from fecosr.recommender.model import SequenceModel, real_positions
from fecosr.recommender.settings import Precision
from fecosr.recommender.soft_targets import SoftTargets
from fecosr.training.evaluation import evaluate
from fecosr.training.prepared import PreparedMarket


@dataclass(frozen=True, slots=True)
class EpochReport:
    """Tell a caller how far training is.

    Attributes:
        epoch: epochs done; 0 before the first.
        max_epochs: most epochs there will be.
        loss: mean loss per target of this epoch; None for epoch 0.
        validation: metrics on the market's own validation targets, where they are measured.
    """

    epoch: int
    max_epochs: int
    loss: float | None
    validation: RankingMetrics | None = None


Progress = Callable[[EpochReport], None]


def ignore_progress(report: EpochReport) -> None:
    """Do nothing with a report."""
    del report


class Batching(Protocol):
    """Say how to go through an epoch: what all settings of training share."""

    @property
    def batch_size(self) -> int:
        """Return the sequences in a batch."""

    @property
    def precision(self) -> Precision:
        """Return the precision of the products with the catalogue."""


class Patience(Batching, Protocol):
    """Say how to train and how long: what `FineTuningSettings` and `LocalBaselineSettings` share."""

    @property
    def max_epochs(self) -> int:
        """Return the most epochs to train."""

    @property
    def patience(self) -> int:
        """Return the epochs without improvement after which to stop."""


def train_epoch(
    model: SequenceModel,
    data: PreparedMarket,
    soft: SoftTargets,
    optimiser: Optimizer,
    *,
    batch_size: int,
    precision: Precision = "float32",
    generator: np.random.Generator,
) -> float:
    """Take one optimiser step per batch of training sequences and return the mean loss per target.

    Batches have `batch_size` sequences, in small markets fewer: see `PreparedMarket.batch_size`.

    Returns 0 where no sequence is long enough to hold a target.
    """
    model.train()
    # Summed where the losses are: to read one of them would let the processor wait for the device.
    loss_sum, num_targets = torch.zeros((), dtype=torch.float64, device=data.device), 0
    size_of_batch = data.batch_size(batch_size)
    for batch in bucketed_batches(data.split.train, model.max_length, size_of_batch, generator):
        loss, size = train_step(model, data, soft, optimiser, batch, precision=precision)
        loss_sum += loss * size
        num_targets += size
    return loss_sum.item() / max(1, num_targets)


def train_epochs(
    model: SequenceModel,
    data: PreparedMarket,
    soft: SoftTargets,
    optimiser: Optimizer,
    num_epochs: int,
    *,
    settings: Batching,
    generator: np.random.Generator,
    progress: Progress = ignore_progress,
) -> float:
    """Train for so many epochs and return the mean loss per target of the last; 0 where there is none."""
    loss = 0.0
    for epoch in range(1, num_epochs + 1):
        loss = train_epoch(
            model,
            data,
            soft,
            optimiser,
            batch_size=settings.batch_size,
            precision=settings.precision,
            generator=generator,
        )
        progress(EpochReport(epoch, num_epochs, loss))
    return loss


def train_until_best(
    model: SequenceModel,
    data: PreparedMarket,
    optimiser: Optimizer,
    *,
    settings: Patience,
    generator: np.random.Generator,
    progress: Progress,
) -> tuple[int, RankingMetrics]:
    """Train with cross-entropy while the market's own validation NDCG@10 improves, and keep the best model.

    The model before the first epoch is a candidate too, so training can only be of use on validation users.
    The test targets are not touched.

    Returns:
        the epoch whose parameters `model` holds afterwards, and its validation metrics.
    """
    best_epoch, best = 0, evaluate(model, data, "validation")
    kept = copy.deepcopy(model.state_dict())
    progress(EpochReport(0, settings.max_epochs, None, best))
    for epoch in range(1, settings.max_epochs + 1):
        loss = train_epoch(
            model,
            data,
            data.hard,
            optimiser,
            batch_size=settings.batch_size,
            precision=settings.precision,
            generator=generator,
        )
        metrics = evaluate(model, data, "validation")
        progress(EpochReport(epoch, settings.max_epochs, loss, metrics))
        if metrics.ndcg_10 > best.ndcg_10:
            best_epoch, best = epoch, metrics
            kept = copy.deepcopy(model.state_dict())
        elif epoch - best_epoch >= settings.patience:
            break
    model.load_state_dict(kept)
    return best_epoch, best


def train_step(
    model: SequenceModel,
    data: PreparedMarket,
    soft: SoftTargets,
    optimiser: Optimizer,
    batch: Batch,
    *,
    precision: Precision = "float32",
) -> tuple[Tensor, int]:
    """Take one optimiser step and return the mean loss per target and the number of targets."""
    # Places of the targets are found on the processor, which knows their number without asking a device.
    real = real_positions(torch.from_numpy(batch.lengths), batch.inputs.shape[1]).flatten()  # [B * L]
    places = real.nonzero().squeeze(1)  # [N]
    targets = torch.from_numpy(batch.targets).flatten()[places].to(data.device)  # [N]
    items = model.item_inputs(data.semantics)  # [V, D]
    sequences = torch.from_numpy(batch.inputs).to(data.device)  # [B, L]
    inputs = items[sequences] if data.shard is None else data.shard.look_up(items, sequences)  # [B, L, D]
    every = model.encode(inputs)  # [B, L, D]
    states = every.flatten(0, 1).index_select(0, places.to(data.device))  # [N, D]
    loss = soft_cross_entropy(states, items, targets, soft, precision, shard=data.shard)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    whole = loss.detach() if data.shard is None else data.shard.add_up(model, loss.detach())
    optimiser.step()
    return whole, len(targets)
