"""The run that shows everything at once: on built-in markets, or on those of a folder."""

import tomllib
from itertools import count
from pathlib import Path
from typing import Any, Final

from fecosr.config.toml import validate
from fecosr.harness.scenario import Scenario, shipped_scenarios

_LEARNING: Final = ("semantics", "encoder", "s2ce", "local_training", "adapter", "fine_tuning")
"""Sections of a plan that a comparison's settings have as well."""


def demo_scenario(data: Path | None = None, rounds: int | None = None) -> Scenario:
    """Return the demo: five generated markets, or every market found under `data`.

    Args:
        data: a folder that `discover_markets` understands; a user of several stays in the largest only.
            The last market by name is the one that is killed. What decides learning is what `fecosr compare`
            takes for such data: without titles, semantics made from behaviour.
        rounds: of training; without it, what the shipped scenario says.

    Raises:
        ConfigError: too few rounds or markets.
        DataError: the data cannot be used.
    """
    path = shipped_scenarios()["demo" if data is None else "xmarket"]
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    if data is not None:
        markets, learning = _markets(data)
        values["plan"] |= {name: learning[name] for name in _LEARNING}
        report = {"local_training": learning["local_baseline"]}
        values["markets"] = [{"name": name, "data": data, "report": report} for name, data in markets]
        values["faults"][0]["target"] = markets[-1][0]
    if rounds is not None:
        values["plan"]["run"]["rounds"] = rounds
        for fault in values["faults"]:
            fault["round"] = max(1, min(fault["round"], rounds))
    return validate(values, Scenario, source="the demo")


def fresh_run_folder(root: Path, name: str = "demo") -> Path:
    """Return `root/<name>-<n>` for the first n, from 1, that is not taken."""
    return next(folder for number in count(1) if not (folder := root / f"{name}-{number}").exists())


def _markets(data: Path) -> tuple[tuple[tuple[str, Any], ...], dict[str, Any]]:
    """Return the markets under `data`, by name, and what decides learning on such data."""
    # Polars is heavy, and not needed for the built-in markets.
    from fecosr.data.markets import discover_markets, without_overlaps  # noqa: PLC0415 - heavy
    from fecosr.harness.compare.settings import settings_for  # noqa: PLC0415 - heavy

    markets = without_overlaps(discover_markets(data.absolute()))
    return markets, settings_for(markets).model_dump(mode="json")
