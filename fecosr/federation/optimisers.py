"""Server optimisers: from the mean update of a round to the next shared model, each as `init` and `apply`.

Every operation is IEEE arithmetic on float32, element by element, so that whoever knows the first model and
the opened sums recomputes every model and every state bit by bit; that is what an audit does.

Reference: Reddi et al. 2021, "Adaptive Federated Optimization", Algorithms 1 and 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import numpy as np

from fecosr.crypto.labels import Label, encode, sha256
from fecosr.federation.aggregation import Vector, parameters_hash

_CLOSED: Final = {"extra": "forbid"}
"""Pydantic then refuses unknown keys, wherever these classes are sections of a plan."""


@dataclass(frozen=True, slots=True, eq=False)
class OptimiserState:
    """Hold what a server optimiser remembers from round to round.

    Attributes:
        moments: float32 [P] each, by name; none when it remembers nothing.
    """

    moments: Mapping[str, Vector] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "moments", MappingProxyType(dict(sorted(self.moments.items()))))

    def hash(self) -> bytes:
        """Return the 32 bytes by which the ledger names this state."""
        parts = [
            part for name, moment in self.moments.items() for part in (name.encode(), parameters_hash(moment))
        ]
        return sha256(encode(Label.OPTIMISER_STATE, *parts))


@dataclass(frozen=True, slots=True, eq=False)
class ServerStep:
    """Hold the model after a round, float32 [P], and the state it leaves behind."""

    parameters: Vector = field(repr=False)
    state: OptimiserState


@dataclass(frozen=True, slots=True)
class Sgd:
    """Step along the mean update: FedAvg, and with momentum FedAvgM.

        m_r = momentum * m_{r-1} + mean_r
        x_r = x_{r-1} + learning_rate * m_r

    Attributes:
        learning_rate: 1 without momentum is plain FedAvg.
        momentum: 0 remembers nothing.

    Raises:
        ValueError: a value is out of range.

    Reference: McMahan et al. 2017, Algorithm 1; Hsu, Qi, Brown 2019, section 4.3.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    optimiser: Literal["sgd"] = "sgd"
    learning_rate: float = 1.0
    momentum: float = 0.0

    def __post_init__(self) -> None:
        _require_learning_rate(self.learning_rate)
        _require_decay("momentum", self.momentum)

    def init(self, num_parameters: int) -> OptimiserState:
        """Return the state before the first round."""
        if not self.momentum:
            return OptimiserState()
        return OptimiserState({"momentum": np.zeros(num_parameters, np.float32)})

    def apply(self, parameters: Vector, mean_update: Vector, state: OptimiserState) -> ServerStep:
        """Return the model and the state after a round whose weighted mean update was `mean_update`.

        Without momentum the model takes over the memory of `mean_update`.
        """
        if not self.momentum:
            moved = mean_update
            # Multiplying by 1 changes no bit.
            if self.learning_rate != 1.0:
                np.multiply(mean_update, np.float32(self.learning_rate), out=moved)  # [P]
            return ServerStep(np.add(parameters, moved, out=moved), state)
        momentum = np.float32(self.momentum) * state.moments["momentum"] + mean_update  # [P]
        moved = parameters + np.float32(self.learning_rate) * momentum
        return ServerStep(moved, OptimiserState({"momentum": momentum}))


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Step with a length of its own for every parameter: FedAdam or FedYogi.

        m_r = beta1 * m_{r-1} + (1 - beta1) * mean_r
        v_r = beta2 * v_{r-1} + (1 - beta2) * mean_r^2                              adam
        v_r = v_{r-1} - (1 - beta2) * mean_r^2 * sign(v_{r-1} - mean_r^2)           yogi
        x_r = x_{r-1} + learning_rate * m_r / (sqrt(v_r) + tau)

    m starts at 0, v at tau^2; there is no correction of the bias this makes.

    Attributes:
        learning_rate: most of what one parameter moves in a typical round.
        beta1: how much of the earlier direction is kept.
        beta2: how much of the earlier second moment is kept.
        tau: adaptivity; the smaller, the more alike all parameters move.

    Raises:
        ValueError: a value is out of range.

    Guarantees:
        Nobody moves the model by more than `learning_rate * clip_norm / tau` in L2 norm in a round, because
        no mean is longer than `clip_norm`, m is an average of means, and v is never negative.

    Reference: Reddi et al. 2021, Algorithm 2.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    optimiser: Literal["adam", "yogi"]
    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3

    def __post_init__(self) -> None:
        _require_learning_rate(self.learning_rate)
        _require_decay("beta1", self.beta1)
        _require_decay("beta2", self.beta2)
        # Its square starts the second moment, and must not be a denormal float32.
        _require(1e-9 <= self.tau <= 10.0, "tau must be in 1e-9 .. 10")

    def init(self, num_parameters: int) -> OptimiserState:
        """Return the state before the first round."""
        zero = np.zeros(num_parameters, np.float32)
        return OptimiserState({"first": zero, "second": zero + np.float32(self.tau) ** 2})

    def apply(self, parameters: Vector, mean_update: Vector, state: OptimiserState) -> ServerStep:
        """Return the model and the state after a round whose weighted mean update was `mean_update`."""
        keep, admit = np.float32(self.beta1), np.float32(1.0 - self.beta1)
        first = keep * state.moments["first"] + admit * mean_update  # [P]
        second = self._second_moment(state.moments["second"], np.square(mean_update))  # [P]
        root: Vector = np.sqrt(second)
        moved = parameters + np.float32(self.learning_rate) * first / (root + np.float32(self.tau))
        return ServerStep(moved, OptimiserState({"first": first, "second": second}))

    def _second_moment(self, before: Vector, square: Vector) -> Vector:
        keep, admit = np.float32(self.beta2), np.float32(1.0 - self.beta2)
        if self.optimiser == "adam":
            return keep * before + admit * square
        sign: Vector = np.sign(before - square)
        return before - admit * square * sign


ServerOptimiser = Sgd | Adaptive


def _require_learning_rate(value: float) -> None:
    _require(0.0 < value <= 10.0, "learning_rate must be above 0 and at most 10")


def _require_decay(name: str, value: float) -> None:
    _require(0.0 <= value < 1.0, f"{name} must be at least 0 and below 1")


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise ValueError(rule)
