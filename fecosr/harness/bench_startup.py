"""How long the two binaries take from their start until they say that they are ready, imports included.

The floors are what nobody can leave out: an interpreter that imports grpc and numpy for a coordinator, one
that imports torch for a node. All are started in turn, because machines get faster and slower.
"""

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from statistics import median
from typing import Final

from fecosr.config.clock import utc_now
from fecosr.config.plan import Plan
from fecosr.config.toml import validate
from fecosr.errors import StorageError
from fecosr.harness.events import Exited, Logged
from fecosr.harness.figures import Figure
from fecosr.harness.processes import Processes, python_module
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.federation_file import CoordinatorSection, MarketSection
from fecosr.provisioning.kits import Kits, provision

TURNS: Final = 5
PATIENCE_SECONDS: Final = 120.0
ANY_PORT: Final = "127.0.0.1:0"
NODE: Final = NodeId("alpha")
LISTENING: Final = "coordinator_ready"
LET_IN: Final = "coordinator_reached"
ABLE: Final = "learner_ready"
_PLAN: Final[Mapping[str, object]] = {
    "run": {"name": "startup", "rounds": 1, "seed": 1},
    "cohort": {"n_min": 2, "max_colluding": 0},
    "privacy": {"mode": "none"},
    "aggregation": {"clip_norm": 5.0},
}


def measure(turns: int = TURNS) -> list[Figure]:
    """Return median seconds from start to ready, beside bare imports.

    Raises:
        StorageError: a process ended, or said nothing for too long.
    """
    seconds: dict[str, list[float]] = {"grpc, numpy": [], "torch": [], LISTENING: [], LET_IN: [], ABLE: []}
    for _ in range(turns):
        seconds["grpc, numpy"].append(_import_seconds("grpc, numpy"))
        seconds["torch"].append(_import_seconds("torch"))
        with tempfile.TemporaryDirectory(prefix="fecosr-startup-") as folder:
            for event, taken in _start(_kits(Path(folder)), Path(folder)).items():
                seconds[event].append(taken)
    found = {name: median(taken) for name, taken in seconds.items()}
    return [_beside(found, *compared) for compared in _COMPARED]


_COMPARED: Final = (
    ("start-up of a coordinator until it listens", LISTENING, "grpc, numpy"),
    ("start-up of a node until the coordinator has let it in, its market loaded", LET_IN, "torch"),
    ("start-up of a node until it could train", ABLE, "torch"),
)


def _beside(found: Mapping[str, float], name: str, event: str, imported: str) -> Figure:
    return Figure(name, found[event], found[imported], f"python -c 'import {imported}'", "s")


def _import_seconds(modules: str) -> float:
    begin = time.monotonic()
    subprocess.run([sys.executable, "-P", "-c", f"import {modules}"], check=True)  # noqa: S603 - ours
    return time.monotonic() - begin


def _kits(folder: Path) -> Kits:
    names = (NODE, NodeId("beta"))
    data = {"kind": "synthetic", "min_core": 1, "synthetic": {"num_users": 60, "num_items": 80}}
    markets = {
        name: validate(
            {"name": name, "data": {**data, "market": name}, "report": {"local": False}},
            MarketSection,
            source=name,
        )
        for name in names
    }
    return provision(
        validate(dict(_PLAN), Plan, source="plan"),
        markets,
        folder / "kits",
        coordinator=CoordinatorSection(address=ANY_PORT, listen=ANY_PORT),
        days=2,
        now=utc_now(),
        entropy=secrets.token_bytes,
        storage=folder / "run",
    )


def _start(kits: Kits, folder: Path) -> dict[str, float]:
    """Return how long the coordinator and then one node took; the other market never comes."""
    with Processes(folder / "logs") as processes:
        command = python_module("coordinator", "--config", str(kits.coordinator))
        coordinator = _until(processes, COORDINATOR, command, {LISTENING})
        address = f"127.0.0.1:{coordinator[LISTENING][0].whole('port')}"
        command = python_module("market_node", "--config", str(kits.nodes[NODE]), "--coordinator", address)
        node = _until(processes, NODE, command, {LET_IN, ABLE})
    return {event: seconds for event, (_, seconds) in {**coordinator, **node}.items()}


def _until(
    processes: Processes, name: NodeId, command: list[str], wanted: AbstractSet[str]
) -> dict[str, tuple[Logged, float]]:
    """Start a process and return the events that are wanted of it, and after how many seconds they came."""
    begin = time.monotonic()
    processes.start(name, command)
    found: dict[str, tuple[Logged, float]] = {}
    while (elapsed := time.monotonic() - begin) < PATIENCE_SECONDS:
        for happening in processes.wait(PATIENCE_SECONDS - elapsed):
            match happening:
                case Logged(name=speaker, event=event) if speaker == name and event in wanted:
                    found[event] = happening, time.monotonic() - begin
                case Exited(name=speaker, returncode=code) if speaker == name:
                    raise StorageError(f"{name} ended with exit code {code} before it was ready")
                case _:
                    pass
        if found.keys() == wanted:
            return found
    raise StorageError(f"{name} was not ready within {PATIENCE_SECONDS:.0f} s")
