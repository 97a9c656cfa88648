"""S2CE the slow way: a dense soft target over the whole catalogue, straight from the definition."""

import numpy as np
import torch
from torch import Tensor


def dense_targets(vectors: np.ndarray, alpha: float, tau: float, num_neighbours: int) -> Tensor:
    """Return t_y(j) for all y and j, float64 [V, V]."""
    num_items = len(vectors)
    cosines = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    target = np.zeros((num_items, num_items))
    for y in range(num_items):
        nearest = sorted(range(num_items), key=lambda j: (j != y, -cosines[y, j]))[:num_neighbours]
        powers = np.exp(cosines[y, nearest] / tau)
        target[y, nearest] = alpha * powers / powers.sum()
        target[y, y] += 1 - alpha
    return torch.from_numpy(target)


def dense_loss(states: Tensor, items: Tensor, targets: Tensor, dense: Tensor) -> Tensor:
    """Return the mean of `-sum_j t_y(j) log p(j)`."""
    log_p = (states @ items.T).log_softmax(dim=1)
    return -(dense[targets].to(log_p.dtype) * log_p).sum(dim=1).mean()
