"""What happened to users' data, as values from which anybody can compute what it cost.

An event is written to the ledger before the data are touched; its cost is read from it, never written beside
it. Only the kinds below exist: an event of another kind, or with another field, is refused.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final, Literal, get_args

from fecosr.errors import MisuseError
from fecosr.privacy.user_sampling import check_sampling_probability

Purpose = Literal["pretraining", "local_training", "semantics_sketch", "metrics", "rerun", "selection"]
"""What data were touched for; it changes no cost, but a report lists costs by it."""


@dataclass(frozen=True, slots=True)
class PoissonGaussian:
    """Release a sum over Poisson-sampled users, each clipped, with continuous normal noise.

    Attributes:
        sampling_probability: of every user, in (0, 1]; 1 is no sampling.
        noise_multiplier: standard deviation of the noise divided by clip_norm.
    """

    kind: ClassVar = "poisson_gaussian"
    sampling_probability: float
    noise_multiplier: float

    def __post_init__(self) -> None:
        check_sampling_probability(self.sampling_probability)
        if not 0 < self.noise_multiplier < math.inf:
            raise MisuseError("noise_multiplier must be positive and finite")


@dataclass(frozen=True, slots=True)
class PoissonIntegerGaussian:
    """Release integer sums over Poisson-sampled users with shares of discrete Gaussian noise, one or several.

    Attributes:
        sampling_probability: of every user, in (0, 1]; 1 is no sampling.
        clip_units: L2 sensitivity.
        share_variance: parameter sigma^2 of one share.
        num_shares: shares that the adversary does not know.
        num_parameters: length of the sum.
        steps: how many such sums in a row, each with coins and noise of its own.
    """

    kind: ClassVar = "poisson_integer_gaussian"
    sampling_probability: float
    clip_units: int
    share_variance: int
    num_shares: int
    num_parameters: int
    steps: int = 1

    def __post_init__(self) -> None:
        check_sampling_probability(self.sampling_probability)
        integers = (self.clip_units, self.share_variance, self.num_shares, self.num_parameters, self.steps)
        if min(integers) < 1:
            raise MisuseError("the integers of an event are at least 1")


@dataclass(frozen=True, slots=True)
class NonPrivate:
    """Release something that depends on users and carries no noise: epsilon is infinite from here on."""

    kind: ClassVar = "non_private"


Event = PoissonGaussian | PoissonIntegerGaussian | NonPrivate
KINDS: Final[Mapping[str, type[Event]]] = {
    kind.kind: kind for kind in (PoissonGaussian, PoissonIntegerGaussian, NonPrivate)
}
"""Every kind there is."""


@dataclass(frozen=True, slots=True)
class Charge:
    """Book one event to a budget.

    Attributes:
        name: unique in a market's ledger, such as "round 7 attempt 2"; the same name is never booked twice.
        purpose: what data were touched for.
        event: what happened, or may have happened.
    """

    name: str
    purpose: Purpose
    event: Event

    def __post_init__(self) -> None:
        if not self.name or self.purpose not in get_args(Purpose):
            raise MisuseError("a charge has a name and one of the purposes there are")


def event_to_fields(event: Event) -> dict[str, str | int]:
    """Return `event` as canonical JSON can hold it: its kind, integers, and floats as hexadecimal text."""
    values = {name: _to_field(value) for name, value in asdict(event).items()}
    return {"kind": event.kind, **values}


def event_from_fields(values: Mapping[str, object]) -> Event:
    """Return the event that stands in `values`, which may come from anybody.

    Raises:
        MisuseError: no kind there is, a field too many or too few, a wrong type, or a value out of range.
    """
    kind = values.get("kind")
    event_type = KINDS.get(kind) if isinstance(kind, str) else None
    if event_type is None:
        raise MisuseError("unknown kind of privacy event")
    expected = {field.name: field.type for field in fields(event_type)}
    if values.keys() - {"kind"} != expected.keys():
        raise MisuseError(f"a {kind} event has exactly the fields {', '.join(sorted(expected)) or 'none'}")
    parts: dict[str, Any] = {name: _from_field(values[name], hint) for name, hint in expected.items()}
    return event_type(**parts)


def _to_field(value: object) -> str | int:
    if isinstance(value, float):
        return value.hex()
    assert isinstance(value, int)  # noqa: S101 - events hold floats and integers only
    return value


def _from_field(value: object, hint: object) -> float | int:
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise MisuseError("a privacy event needs an integer there")
        return value
    if not isinstance(value, str):
        raise MisuseError("a privacy event needs the hexadecimal text of a number there")
    try:
        number = float.fromhex(value)
    except (ValueError, OverflowError):
        raise MisuseError("a privacy event needs the hexadecimal text of a number there") from None
    if number.hex() != value:
        raise MisuseError("a number has one hexadecimal text")
    return number
