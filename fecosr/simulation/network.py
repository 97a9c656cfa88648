"""A network in memory: messages in flight, ordered by the virtual moment at which each arrives."""

import heapq
from dataclasses import dataclass, field
from random import Random
from typing import Generic, TypeVar

from fecosr.simulation.faults import Faults

Message = TypeVar("Message")


@dataclass(frozen=True, slots=True, order=True)
class Arrival(Generic[Message]):
    """Hold one message that arrives at one moment; ties keep the order of sending.

    Attributes:
        at: virtual seconds.
        number: how many were put in flight before it.
        message: what arrives.
    """

    at: float
    number: int
    message: Message = field(compare=False)


class Network(Generic[Message]):
    """Delay, lose and repeat messages as the seeded generator says.

    Args:
        faults: how likely each fault is.
        random: the generator every decision is drawn from.
    """

    def __init__(self, faults: Faults, random: Random) -> None:
        self._faults = faults
        self._random = random
        self._in_flight: list[Arrival[Message]] = []
        self._num_sent = 0

    def send(self, message: Message, now: float) -> None:
        """Put a message in flight, or lose it, or put it in flight twice."""
        if self._random.random() < self._faults.loss:
            return
        self.schedule(message, now + self._delay())
        if self._random.random() < self._faults.duplication:
            self.schedule(message, now + self._delay())

    def schedule(self, message: Message, at: float) -> None:
        """Let a message arrive at exactly one moment, whatever the faults."""
        heapq.heappush(self._in_flight, Arrival(at, self._num_sent, message))
        self._num_sent += 1

    def next_at(self) -> float:
        """Return when the next message arrives; infinity when none is in flight."""
        return self._in_flight[0].at if self._in_flight else float("inf")

    def receive(self) -> Message:
        """Take the next message off the network.

        Raises:
            IndexError: none is in flight.
        """
        return heapq.heappop(self._in_flight).message

    def _delay(self) -> float:
        return self._random.uniform(self._faults.least_delay_seconds, self._faults.most_delay_seconds)
