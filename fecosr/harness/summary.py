"""The figures of a finished run, read from what each market measured for itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

Metrics = Mapping[str, float]


@validated(frozen=True, config=ConfigDict(extra="ignore"))
class MarketFigures:
    """Hold what one market reports about itself, as it stands in its report.json."""

    market: str
    users: int
    items: int
    interactions: int
    semantics: str
    methods: dict[str, dict[str, float]]
    fine_tuning: dict[str, Any] = Field(default_factory=dict)
    rounds_taken_part: tuple[int, ...] = ()


_READER = TypeAdapter(MarketFigures)


def read_figures(path: Path) -> MarketFigures | None:
    """Return a market's report, None where it never wrote one that can be understood."""
    try:
        return _READER.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


@dataclass(frozen=True, slots=True)
class KilledNode:
    """Say which process was killed where, and whether it came back."""

    name: str
    round: int
    phase: str
    restarted: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """Hold the figures of a whole run.

    Attributes:
        markets: figures of the markets that reported, in the order of the scenario.
        rounds: rounds released.
        killed: processes the scenario killed.
        survivors: per released round, whose updates are in the sum.
        seconds: from the first process to the last exit.
    """

    markets: tuple[MarketFigures, ...]
    rounds: int
    killed: tuple[KilledNode, ...]
    survivors: Mapping[int, tuple[str, ...]]
    seconds: float

    def as_json(self) -> dict[str, object]:
        """Return summary.json: per market users, items and the metrics per method; rounds, kills, seconds."""
        return {
            "markets": {
                figures.market: {
                    "users": figures.users,
                    "items": figures.items,
                    "interactions": figures.interactions,
                    "semantics": figures.semantics,
                    "methods": figures.methods,
                }
                for figures in self.markets
            },
            "macro_mean": macro_mean([figures.methods for figures in self.markets]),
            "rounds": self.rounds,
            "killed_nodes": [killed.name for killed in self.killed],
            "kills": [asdict(killed) for killed in self.killed],
            "survivors": {str(number): list(names) for number, names in sorted(self.survivors.items())},
            "seconds": round(self.seconds, 2),
        }


def macro_mean(markets: Sequence[Mapping[str, Metrics]]) -> dict[str, dict[str, float]]:
    """Return the mean over the markets of each metric that every market has, per method."""
    if not markets:
        return {}
    methods = [method for method in markets[0] if all(method in figures for figures in markets)]
    return {method: _mean([figures[method] for figures in markets]) for method in methods}


def _mean(metrics: Sequence[Metrics]) -> dict[str, float]:
    names = [name for name in metrics[0] if all(name in figures for figures in metrics)]
    return {name: fmean(figures[name] for figures in metrics) for name in names}
