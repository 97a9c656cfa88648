"""How long to wait before trying again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Patience:
    """Wait longer after every failure, by a random part of the longest wait: nodes never fall into step.

    Attributes:
        first_seconds: the longest wait after the first failure; it doubles with every further one.
        most_seconds: the longest wait of all.
        uniform: returns a number in [0, 1).
        sleep: waits.
    """

    first_seconds: float = 0.25
    most_seconds: float = 15.0
    uniform: Callable[[], float] = random.random
    sleep: Sleep = asyncio.sleep

    async def wait(self, failures: int) -> None:
        """Wait after the `failures`-th failure in a row, from 1."""
        doublings = min(failures - 1, 32)
        longest = min(self.most_seconds, self.first_seconds * 2**doublings)
        await self.sleep(longest * self.uniform())
