import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fecosr.config.toml import validate
from fecosr.harness.events import Happening, parse_line
from fecosr.harness.scenario import Scenario

VALUES: dict[str, Any] = {
    "name": "three markets",
    "description": "beta is killed and comes back",
    "plan": {
        "run": {"name": "test", "rounds": 2, "seed": 1},
        "cohort": {"n_min": 2, "max_colluding": 0},
        "privacy": {"mode": "none"},
        "aggregation": {"clip_norm": 5.0},
        "semantics": {"dimension": 16},
        "encoder": {"dimension": 8, "num_blocks": 1, "feed_forward_dimension": 8, "projector_dimension": 8},
    },
    "markets": [
        {"name": name, "data": {"kind": "synthetic", "market": name}} for name in ("alpha", "beta", "gamma")
    ],
    "faults": [{"kind": "kill", "target": "beta", "round": 2, "phase": "masked_input", "restart": True}],
    "expect": {"max_seconds": 20.0, "audit": "skipped"},
}

MakeScenario = Callable[..., Scenario]


@pytest.fixture
def make_scenario() -> MakeScenario:
    """Return a scenario of three markets, with top-level values replaced."""

    def make(**changes: Any) -> Scenario:
        return validate({**VALUES, **changes}, Scenario, source="test")

    return make


@pytest.fixture
def scenario(make_scenario: MakeScenario) -> Scenario:
    return make_scenario()


@pytest.fixture
def logged() -> Callable[..., Happening]:
    """Return an event as it comes out of a process's log."""

    def make(name: str, event: str, **fields: Any) -> Happening:
        happening = parse_line(name, json.dumps({"event": event, **fields}).encode())
        assert happening is not None
        return happening

    return make


STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runner start stand-ins that log what the binaries log, and do nothing else."""

    def command(module: str, *arguments: str) -> Sequence[str]:
        return [sys.executable, str(STAND_IN), module, *arguments]

    monkeypatch.setattr("fecosr.harness.runner.python_module", command)
