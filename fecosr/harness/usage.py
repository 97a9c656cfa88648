"""Watch how much memory the processes of a run have, so that growth can be told from a start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from fecosr.harness.processes import Processes

EVERY_SECONDS: Final = 1.0
FEWEST_SAMPLES: Final = 8
"""Of fewer samples nobody can say whether they grow."""


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """Hold what one process had resident in a run, all its starts together.

    Attributes:
        peak_bytes: the most at a time, mapped files included.
        growth: median of its own memory over the last quarter of the samples divided by that over the second
            quarter; None where there are too few samples.
    """

    peak_bytes: int
    growth: float | None


@dataclass(slots=True)
class UsageWatch:
    """Take samples while a run goes on."""

    _samples: dict[str, list[int]] = field(default_factory=dict)
    _peaks: dict[str, int] = field(default_factory=dict)
    _next: float = 0.0

    def look(self, processes: Processes, now: float) -> None:
        """Take a sample of every process, unless that was done a moment ago."""
        if now < self._next:
            return
        self._next = now + EVERY_SECONDS
        for name in processes.running():
            resident = processes.resident_bytes(name)
            if resident:
                self._samples.setdefault(name, []).append(resident)
            self._peaks[name] = max(self._peaks.get(name, 0), processes.peak_bytes(name))

    def found(self) -> Mapping[str, MemoryUsage]:
        """Return what was seen of each process."""
        return {
            name: MemoryUsage(peak, _growth(self._samples.get(name, [])))
            for name, peak in self._peaks.items()
        }


def _growth(samples: list[int]) -> float | None:
    quarter = len(samples) // 4
    before = median(samples[quarter : 2 * quarter]) if len(samples) >= FEWEST_SAMPLES else 0
    return median(samples[-quarter:]) / before if before else None
