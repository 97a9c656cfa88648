"""How the learning rate moves while a model is trained: up within the first steps, then down along a cosine.

    rate(t) = rate * min(1, (t + 1) / (warm_up T)) * (1 + cos(pi t / T)) / 2        t = 0 .. T - 1

Reference: Loshchilov and Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", equation 5.
"""

import math
from typing import Any

from torch.optim import Optimizer

from fecosr.training.prepared import PreparedMarket
from fecosr.training.settings import LocalBaselineSettings

WARM_UP = 0.05
"""Share of all steps in which the rate rises."""


def follow_schedule(optimiser: Optimizer, settings: LocalBaselineSettings, data: PreparedMarket) -> None:
    """Let an optimiser take its steps at the rates that `settings` fix for training on `data`."""
    if settings.schedule == "cosine":
        size = data.batch_size(settings.batch_size)
        num_sequences = sum(len(sequence) >= 2 for sequence in data.split.train)
        CosineSchedule(optimiser, settings.max_epochs * math.ceil(num_sequences / size))


class CosineSchedule:
    """Set the learning rate of an optimiser before its every step.

    Args:
        optimiser: each of its groups keeps its own highest rate.
        num_steps: T; later steps are taken at rate zero.
    """

    def __init__(self, optimiser: Optimizer, num_steps: int) -> None:
        self.num_steps = num_steps
        self.steps_taken = 0
        self.highest = [(group, float(group["lr"])) for group in optimiser.param_groups]
        optimiser.register_step_pre_hook(self._before_step)

    def _before_step(self, *_: Any) -> None:
        factor = cosine_factor(self.steps_taken, self.num_steps)
        for group, rate in self.highest:
            group["lr"] = rate * factor
        self.steps_taken += 1


def cosine_factor(step: int, num_steps: int) -> float:
    """Return the share of the highest rate with which step `step`, from 0, of `num_steps` is taken."""
    if step >= num_steps:
        return 0.0
    rising = min(1.0, (step + 1) / max(1.0, WARM_UP * num_steps))
    return rising * 0.5 * (1.0 + math.cos(math.pi * step / num_steps))
