"""FedProx: hold a market's parameters near those from which the round started.

    loss + mu / 2 * |w - w_0|^2        whose gradient is that of the loss plus mu (w - w_0)

Reference: Li et al. 2020, "Federated Optimization in Heterogeneous Networks", equation 2.
"""

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


class ProximalTerm:
    """Add the gradient of the proximal term before every step of an optimiser.

    The optimiser then scales it like the rest of the gradient, as if it had been part of the loss.

    Args:
        model: its parameters as they are now are w_0.
        strength: mu.
    """

    def __init__(self, model: nn.Module, strength: float) -> None:
        self.strength = strength
        self.anchored = [(value, value.detach().clone()) for value in model.parameters()]

    def attach(self, optimiser: Optimizer) -> None:
        """Let every later step of `optimiser` include the term."""
        optimiser.register_step_pre_hook(self._add_gradient)

    @torch.no_grad()
    def _add_gradient(self, *_: Any) -> None:
        for value, start in self.anchored:
            if value.grad is not None:
                value.grad.add_(value - start, alpha=self.strength)
