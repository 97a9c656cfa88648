"""The shape of every protocol here: `state + message -> Transition`."""

from dataclasses import dataclass
from typing import Generic, TypeVar

State_co = TypeVar("State_co", covariant=True)
Record_co = TypeVar("Record_co", covariant=True)
Outgoing_co = TypeVar("Outgoing_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Transition(Generic[State_co, Record_co, Outgoing_co]):
    """Hold what a driver must do, in this order: store `records`, adopt `state`, carry out `outbox`.

    Storing first is the rule that makes a crash harmless: nothing was ever sent that the disk does not know.

    Attributes:
        state: the next state; terminal states have no `receive`.
        records: what must be durable before anything in `outbox` leaves the process, in order.
        outbox: messages to send and effects to carry out, in order.
        deadline: seconds on the driver's monotonic clock at which `state.expire(now)` is due; None: never.
    """

    state: State_co
    records: tuple[Record_co, ...] = ()
    outbox: tuple[Outgoing_co, ...] = ()
    deadline: float | None = None
