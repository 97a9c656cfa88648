"""What each user's loss reads, user by user: their own rows of the catalogue, and positions within these.

A user's own rows are the items they have, and those over which their targets are spread, each once however
often the user bought it. So what one user does to an item is one row, and no row belongs to padding.

Users meet only others who need as much padding as they do, and every batch is filled up to the same size. So
the shape in which a user's gradient is computed is a function of that user alone, and so is every bit of it:
who else is there must not even change how it is rounded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fecosr.data.sequences import ItemArray
from fecosr.errors import MisuseError
from fecosr.recommender.soft_targets import SoftTargets

_SHORT: Final = 16
"""Positions up to which a history is short."""


@dataclass(frozen=True, slots=True, eq=False)
class UserBatch:
    """Hold up to B users, padded to the same number of rows R and positions L.

    Attributes:
        num_users: how many there are; behind them stand users who own nothing and whose gradient is zero.
        places: of each of them among the sequences they were made from, int64 [num_users].
        rows: items of each user, int64 [B, R]; behind `num_rows` stands item 0, which then means nothing.
        num_rows: rows that are the user's, int64 [B].
        inputs: the user's row at each position, int64 [B, L].
        targets: the user's rows over which the target of each position is spread, int64 [B, L, K].
        shares: how much of the target each of them is, float32 [B, L, K]; zero at padded positions.
        real: one over the number of the user's positions where there is one, else zero, float32 [B, L].
    """

    num_users: int
    places: npt.NDArray[np.int64]
    rows: Tensor
    num_rows: npt.NDArray[np.int64]
    inputs: Tensor
    targets: Tensor
    shares: Tensor
    real: Tensor

    def tensors(self, device: torch.device) -> tuple[Tensor, ...]:
        """Return rows, which of them are the user's own, bool [B, R], inputs, targets, shares and real."""
        is_own = torch.arange(self.rows.shape[1]) < torch.from_numpy(self.num_rows)[:, None]
        parts = (self.rows, is_own, self.inputs, self.targets, self.shares, self.real)
        return tuple(part.to(device) for part in parts)


@dataclass(frozen=True, slots=True, eq=False)
class _User:
    place: int
    rows: npt.NDArray[np.int64]
    inputs: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float32]


def user_batches(
    sequences: Sequence[ItemArray], soft: SoftTargets, *, max_length: int, users_at_a_time: int
) -> Iterator[UserBatch]:
    """Yield all users who have a target, those of one padded shape together.

    Args:
        sequences: items of each user, oldest first; of long ones the last `max_length + 1` items count.
        soft: targets of every item.
        max_length: most positions of a user.
        users_at_a_time: B; half of it for long histories.

    Raises:
        MisuseError: targets are spread over the whole catalogue; then every item would be a user's own.
    """
    if soft.items is None or soft.uniform is not None:
        raise MisuseError("private training needs targets that are spread over neighbours, not the catalogue")
    items, shares = soft.items.cpu().numpy(), soft.shares.cpu().numpy()
    groups: dict[tuple[int, int], list[_User]] = {}
    for place, sequence in enumerate(sequences):
        if len(sequence) > 1:
            user = _user(place, sequence[-(max_length + 1) :], items, shares)
            groups.setdefault(_shape(user, max_length), []).append(user)
    for (length, num_rows), users in groups.items():
        # Few histories are long, and places that are filled up cost most there.
        size = users_at_a_time if length <= _SHORT else -(-users_at_a_time // 2)
        for start in range(0, len(users), size):
            yield _padded(users[start : start + size], (size, length, num_rows))


def _shape(user: _User, max_length: int) -> tuple[int, int]:
    """Return to how many positions and rows a user is padded."""
    length = min(max_length, _power_of_two(len(user.inputs)))
    # With one target per position there is at most one row per item.
    is_hard = user.targets.shape[1] == 1
    return length, length + 1 if is_hard else _rounded_up(len(user.rows))


def _power_of_two(size: int) -> int:
    """Return the next of 8, 16, 32, ...: a batch more costs more than padding a short history."""
    return max(8, 1 << (size - 1).bit_length())


def _rounded_up(size: int) -> int:
    """Return the next of 4, 6, 8, 12, 16, 24, ...: few different sizes, and little padding."""
    power = 4
    while power < size:
        power *= 2
    return 3 * power // 4 if power > 4 and 3 * power // 4 >= size else power


def _user(
    place: int, recent: ItemArray, items: npt.NDArray[np.int64], shares: npt.NDArray[np.float32]
) -> _User:
    inputs, targets = recent[:-1].astype(np.int64), recent[1:].astype(np.int64)
    spread = items[targets]  # [L, K]
    rows, places = np.unique(np.concatenate([inputs, spread.ravel()]), return_inverse=True)
    length = len(inputs)
    return _User(place, rows, places[:length], places[length:].reshape(spread.shape), shares[targets])


def _padded(users: Sequence[_User], shape: tuple[int, int, int]) -> UserBatch:
    batch, length, most_rows = shape
    num_shared = users[0].targets.shape[1]
    num_rows = np.zeros(batch, np.int64)  # [B]
    rows = np.zeros((batch, most_rows), np.int64)  # [B, R]
    inputs = np.zeros((batch, length), np.int64)  # [B, L]
    targets = np.zeros((batch, length, num_shared), np.int64)  # [B, L, K]
    shares = np.zeros(targets.shape, np.float32)  # [B, L, K]
    real = np.zeros(inputs.shape, np.float32)  # [B, L]
    for place, user in enumerate(users):
        positions = len(user.inputs)
        num_rows[place] = len(user.rows)
        rows[place, : len(user.rows)] = user.rows
        inputs[place, :positions] = user.inputs
        targets[place, :positions] = user.targets
        shares[place, :positions] = user.shares
        real[place, :positions] = 1.0 / positions
    tensors = (torch.from_numpy(part) for part in (inputs, targets, shares, real))
    of_users = np.array([user.place for user in users], np.int64)
    return UserBatch(len(users), of_users, torch.from_numpy(rows), num_rows, *tensors)
