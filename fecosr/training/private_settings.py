"""What decides private training, as plain values. Imports nothing heavy: the coordinator reads it too."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

_CLOSED = {"extra": "forbid"}
"""Pydantic then refuses unknown keys, wherever these classes are sections of a plan."""


@dataclass(frozen=True, slots=True)
class PrivateTrainingSettings:
    """Fix how a market trains under user-level differential privacy. What decides privacy has no default.

    Attributes:
        clip_norm: L2 bound on the gradient of one user.
        noise_multiplier: standard deviation of the noise in a sum, divided by clip_norm.
        sampling_probability: of every user, for every sum.
        expected_users: public estimate of how many users a sum is over; sums are divided by it, and never by
            their true number, which is private.
        loss: "s2ce", or "ce" for plain cross-entropy.
        num_drawn: public items drawn for the softmax of every step; a smaller catalogue is taken whole.
        steps: of the optimiser in one round of mode "local"; in mode "distributed" a round is one step.
        learning_rate: of Adam in mode "local".
        users_at_a_time: gradients held at a time; it changes memory and speed, and results by rounding only.

    Raises:
        ValueError: a value is out of range.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    clip_norm: float
    noise_multiplier: float
    sampling_probability: float
    expected_users: float
    loss: Literal["s2ce", "ce"] = "s2ce"
    num_drawn: int = 256
    steps: int = 1
    learning_rate: float = 0.001
    users_at_a_time: int = 32

    def __post_init__(self) -> None:
        _require(0.0 < self.clip_norm < math.inf, "clip_norm must be positive and finite")
        _require(0.0 < self.noise_multiplier < math.inf, "noise_multiplier must be positive and finite")
        _require(0.0 < self.sampling_probability <= 1.0, "sampling_probability must be above 0 and at most 1")
        _require(1.0 <= self.expected_users < math.inf, "expected_users must be at least 1 and finite")
        _require(self.loss in ("s2ce", "ce"), "loss must be 's2ce' or 'ce'")
        _require(self.num_drawn >= 1, "num_drawn must be at least 1")
        _require(self.steps >= 1, "steps must be at least 1")
        _require(0.0 < self.learning_rate <= 10.0, "learning_rate must be above 0 and at most 10")
        _require(1 <= self.users_at_a_time <= 65536, "users_at_a_time must be in 1 .. 65536")


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise ValueError(rule)
