"""The largest change that one user makes to a sum over users, measured over adversarial users."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from fecosr.data.sequences import ItemArray

SumOverUsers = Callable[[Sequence[ItemArray]], npt.NDArray[np.floating] | npt.NDArray[np.int64]]


def largest_influence(
    sum_over_users: SumOverUsers, population: Sequence[ItemArray], adversaries: Sequence[ItemArray]
) -> float:
    """Return the largest L2 norm of the difference that adding one of `adversaries` makes.

    Each joins the whole population and nobody at all, and stands before or behind the others.
    """
    found = 0.0
    for others in ([], list(population)):
        without = np.asarray(sum_over_users(others), np.float64)
        for user in adversaries:
            for everybody in ([*others, user], [user, *others]):
                change = np.asarray(sum_over_users(everybody), np.float64) - without
                found = max(found, float(np.linalg.norm(change)))
    return found


def adversarial_users(num_items: int, max_length: int) -> list[ItemArray]:
    """Return histories that break careless code: repeated, long, of the item that also pads, and tiny."""
    rng = np.random.default_rng(0)
    histories = [
        np.zeros(2),
        np.zeros(4 * max_length),
        np.full(max_length + 1, num_items - 1),
        np.tile([0, 1], max_length),
        np.arange(5 * max_length) % num_items,
        rng.integers(num_items, size=max_length + 1),
        np.array([1, 2]),
        np.array([3]),
    ]
    return [history.astype(np.int32) for history in histories]
