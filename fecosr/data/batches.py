"""Training batches of similar lengths, so that little work is spent on padding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fecosr.data.sequences import ItemArray
from fecosr.errors import MisuseError

IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Hold B sequences, padded on the right with 0 (which is also an item: only `lengths` tells them apart).

    Attributes:
        inputs: the items seen so far at each position.
        targets: the item that follows each input.
        lengths: how many positions of each sequence are no padding, at least 1.
    """

    inputs: IndexArray  # [B, L]
    targets: IndexArray  # [B, L]
    lengths: IndexArray  # [B]


def bucketed_batches(
    sequences: Sequence[ItemArray], max_length: int, batch_size: int, generator: np.random.Generator
) -> Iterator[Batch]:
    """Yield one epoch: every sequence with at least two items once, similar lengths together.

    Args:
        sequences: item indices, oldest first.
        max_length: most positions of a sequence; of longer ones the last `max_length + 1` items count.
        batch_size: most sequences of a batch.
        generator: decides which sequences of equal length meet, and the order of the batches.

    Raises:
        MisuseError: `max_length` or `batch_size` is below 1.

    Guarantees: every target that is no padding occurs exactly once per epoch.
    """
    if max_length < 1 or batch_size < 1:
        raise MisuseError("max_length and batch_size must be at least 1")
    lengths = np.minimum([len(sequence) - 1 for sequence in sequences], max_length)  # [U]
    order = generator.permutation(np.flatnonzero(lengths >= 1))
    order = order[np.argsort(lengths[order], kind="stable")]
    starts = np.arange(0, len(order), batch_size)
    for start in generator.permutation(starts):
        chosen = order[start : start + batch_size]
        yield _padded([sequences[user] for user in chosen], lengths[chosen])


def _padded(sequences: Sequence[ItemArray], lengths: IndexArray) -> Batch:
    """Return sequences as one batch as long as the longest of them."""
    inputs = np.zeros((len(sequences), int(lengths.max())), dtype=np.int64)  # [B, L]
    targets = np.zeros_like(inputs)  # [B, L]
    for row, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        recent = sequence[-(length + 1) :]
        inputs[row, :length] = recent[:-1]
        targets[row, :length] = recent[1:]
    return Batch(inputs, targets, lengths.astype(np.int64))
