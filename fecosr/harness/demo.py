"""The run that shows everything at once: on built-in markets, or on those of a folder."""

import tomllib
from itertools import count
from pathlib import Path
from typing import Any

from fecosr.config.toml import validate
from fecosr.harness.scenario import Scenario, shipped_scenarios


def demo_scenario(data: Path | None = None, rounds: int | None = None) -> Scenario:
    """Return the demo: five generated markets, or every market found under `data`.

    Args:
        data: a folder that `discover_markets` understands; a user of several stays in the largest only.
            The last market by name is the one that is killed.
        rounds: of training; without it, what the shipped scenario says.

    Raises:
        ConfigError: too few rounds or markets.
        DataError: the data cannot be used.
    """
    path = shipped_scenarios()["demo" if data is None else "xmarket"]
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    if data is not None:
        markets = _markets(data)
        values["markets"] = [{"name": name, "data": settings} for name, settings in markets]
        values["faults"][0]["target"] = markets[-1][0]
    if rounds is not None:
        values["plan"]["run"]["rounds"] = rounds
        for fault in values["faults"]:
            fault["round"] = max(1, min(fault["round"], rounds))
    return validate(values, Scenario, source="the demo")


def fresh_run_folder(root: Path, name: str = "demo") -> Path:
    """Return `root/<name>-<n>` for the first n, from 1, that is not taken."""
    return next(folder for number in count(1) if not (folder := root / f"{name}-{number}").exists())


def _markets(data: Path) -> list[tuple[str, Any]]:
    """Return the markets under `data`, by name."""
    # Polars is needed here and nowhere else in the harness.
    from fecosr.data.markets import discover_markets, without_overlaps  # noqa: PLC0415 - heavy

    return list(without_overlaps(discover_markets(data.absolute())))
