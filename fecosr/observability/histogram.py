"""Durations counted in buckets: as much as a graph needs, in a size that never grows."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

BOUNDS_SECONDS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0)
"""Upper bounds of the buckets; one more holds whatever is longer."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Count durations.

    Attributes:
        counts: per bucket, the longest last.
        total_seconds: their sum.
    """

    counts: tuple[int, ...] = (0,) * (len(BOUNDS_SECONDS) + 1)
    total_seconds: float = 0.0

    def plus(self, seconds: float) -> "Histogram":
        """Return the histogram with one more duration; a clock that was set back counts as none at all."""
        seconds = max(0.0, seconds)
        place = bisect_left(BOUNDS_SECONDS, seconds)
        counts = tuple(count + (index == place) for index, count in enumerate(self.counts))
        return Histogram(counts, self.total_seconds + seconds)

    def cumulated(self) -> tuple[tuple[str, float], ...]:
        """Return (upper bound, how many are at most that long), the way Prometheus wants them."""
        bounds = [*map(str, BOUNDS_SECONDS), "+Inf"]
        return tuple((bound, float(sum(self.counts[: i + 1]))) for i, bound in enumerate(bounds))
