"""A small federation of real processes whose coordinator and first market can be looked at."""

import os
import secrets
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fecosr.config.clock import utc_now
from fecosr.config.plan import Plan
from fecosr.config.toml import validate
from fecosr.harness.events import Exited, Logged
from fecosr.harness.processes import Processes, python_module
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.federation_file import CoordinatorSection, MarketSection
from fecosr.provisioning.kits import provision
from fecosr.rpc.failpoints import VARIABLE

ANY_PORT: Final = "127.0.0.1:0"
MARKETS: Final = ("alpha", "beta", "gamma", "delta")
ITEM, USER = "itm7f3a", "usr9c1b"
"""What the ids of items and users begin with: nothing else does."""
PATIENCE_SECONDS: Final = 240.0
PLAN: Final = {
    "run": {"name": "spring", "rounds": 3, "seed": 3},
    "cohort": {"n_min": 2, "max_colluding": 0},
    "privacy": {"mode": "none", "validation": "released"},
    "aggregation": {"clip_norm": 5.0, "reference_num_users": 60},
    "deadlines": {
        "join_seconds": 5.0,
        "training_seconds": 60.0,
        "phase_seconds": 30.0,
        "finish_seconds": 120.0,
    },
    "semantics": {"dimension": 32},
    "fine_tuning": {"max_epochs": 2},
    "encoder": {
        "dimension": 16,
        "num_blocks": 1,
        "num_heads": 1,
        "feed_forward_dimension": 16,
        "projector_dimension": 16,
        "max_length": 16,
    },
}


def _orders(place: int) -> str:
    """Return the interactions of one market: everybody walks through the catalogue at a pace of their own."""
    rows = [
        f"{USER}{user},{ITEM}{(user * 7 + step * (place + 2)) % 31},{1000 + step}"
        for user in range(60)
        for step in range(9)
    ]
    return "\n".join(["user,item,timestamp", *rows]) + "\n"


class RealFederation:
    """Provision four markets in `folder`, and run them as processes until the block is left.

    Attributes:
        events: what the processes said, in order.
        ended: exit codes of those who have ended, by party.
        web: ports of those who serve pages, by party.
    """

    def __init__(self, folder: Path, plan: Mapping[str, object] = PLAN) -> None:
        self.folder = folder
        self.events: list[Logged] = []
        self.ended: dict[str, int] = {}
        self.web: dict[str, int] = {}
        self.address = ""
        self._processes = Processes(folder / "logs")
        markets = {NodeId(name): self._market(place, name) for place, name in enumerate(MARKETS)}
        self.kits = provision(
            validate(dict(plan), Plan, source="plan"),
            markets,
            folder / "kits",
            coordinator=CoordinatorSection(address=ANY_PORT, listen=ANY_PORT),
            days=2,
            now=utc_now(),
            entropy=secrets.token_bytes,
            storage=folder / "run",
        )
        for config in (self.kits.coordinator, self.kits.nodes[NodeId(MARKETS[0])]):
            text = f'{config.read_text()}\n[web]\nlisten = "{ANY_PORT}"\nplain_http = true\n'
            config.write_text(text.replace("share_validation = false", "share_validation = true"))

    def _market(self, place: int, name: str) -> MarketSection:
        path = self.folder / f"{name}.csv"
        path.write_text(_orders(place))
        values = {"name": name, "data": {"kind": "csv", "path": str(path), "min_core": 1}}
        return validate({**values, "report": {"local": False}}, MarketSection, source=name)

    def start(self, failpoints: Mapping[str, str] | None = None) -> None:
        """Start everybody; `failpoints` say who dies where."""
        points = failpoints or {}
        self.start_coordinator(COORDINATOR, self.kits.coordinator, failpoint=points.get(COORDINATOR))
        ready = self.wait_for(COORDINATOR, "coordinator_ready")
        self.address = f"127.0.0.1:{ready.whole('port')}"
        for name, path in self.kits.nodes.items():
            command = python_module("market_node", "--config", str(path), "--coordinator", self.address)
            self._processes.start(name, command, _rehearsing(points.get(name)))

    def start_coordinator(self, name: str, config: Path, *, failpoint: str | None = None) -> None:
        """Start a coordinator with the kit of `config`, where the nodes look for one if there was one."""
        self.ended.pop(name, None)
        address = ["--listen", self.address] if self.address else []
        command = python_module("coordinator", "--config", str(config), *address)
        self._processes.start(name, command, _rehearsing(failpoint))

    def wait_for_end(self, name: str) -> int:
        """Return the exit code of a process, once it has ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while name not in self.ended and time.monotonic() < deadline:
            self._listen()
        return self.ended[name]

    def wait_for(self, name: str, event: str, holds: Callable[[Logged], bool] = lambda _: True) -> Logged:
        """Return the first line of `name` about `event` for which something holds."""
        seen = 0
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for line in self.events[seen:]:
                if (line.name, line.event) == (name, event) and holds(line):
                    return line
            seen = len(self.events)
            self._listen()
        raise AssertionError(f"{name} never said {event}: {[e.event for e in self.events[-20:]]}")

    def _listen(self) -> None:
        for happening in self._processes.wait(1.0):
            if isinstance(happening, Exited):
                self.ended[happening.name] = happening.returncode
            if isinstance(happening, Logged):
                self.events.append(happening)
                if happening.event == "web_ready":
                    self.web[happening.name] = happening.whole("port") or 0

    def pause(self, name: str) -> None:
        """Let a process stand still from now on, with its connections open."""
        os.kill(self._processes._running[name].process.pid, signal.SIGSTOP)

    def token(self, name: str) -> str:
        """Return what a visitor of `name` must know."""
        return (self.folder / "kits" / name / "web.token").read_text().strip()

    def __enter__(self) -> Self:
        self._processes.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._processes.__exit__(kind, value, traceback)


def _rehearsing(failpoint: str | None) -> dict[str, str] | None:
    return {VARIABLE: f"spring {failpoint}"} if failpoint else None
