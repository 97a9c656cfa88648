"""How much a peer may ask for in a while, so that one node's mistake or malice is not everybody's problem."""

from dataclasses import dataclass, field
from typing import Final

MESSAGES_PER_SECOND: Final = 200.0
"""On the control stream; a round takes six, and the shortest rounds take some fifty milliseconds."""
CALLS_PER_SECOND: Final = 50.0
"""Connections, downloads and uploads together; a round takes two."""
BURST_SECONDS: Final = 5.0
"""How long a peer may have been silent to catch up afterwards."""


@dataclass(slots=True)
class Allowance:
    """Grant `per_second` in the long run, and what was not asked for in the last seconds at once.

    Attributes:
        per_second: how many are granted.
    """

    per_second: float
    _left: float = field(init=False)
    _since: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Begin with everything left."""
        self._left = self._most()

    def take(self, now: float) -> bool:
        """Return whether one more is granted at `now`, in driver seconds."""
        passed = 0.0 if self._since is None else max(0.0, now - self._since)
        self._since = now
        self._left = min(self._most(), self._left + passed * self.per_second)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _most(self) -> float:
        return self.per_second * BURST_SECONDS
