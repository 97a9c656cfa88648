"""Carry a scenario out: kits, processes, faults, restarts, and in the end the verdict."""

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from fecosr.config.clock import utc_now
from fecosr.errors import ConfigError
from fecosr.harness.conclusion import Outcome, conclude
from fecosr.harness.events import Exited, Happening
from fecosr.harness.observation import Observation
from fecosr.harness.processes import Processes, python_module
from fecosr.harness.scenario import Scenario
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.federation_file import CoordinatorSection
from fecosr.provisioning.kits import Kits, provision
from fecosr.rpc.failpoints import VARIABLE as FAILPOINT_VARIABLE

LOOPBACK: Final = "127.0.0.1"
ANY_PORT: Final = f"{LOOPBACK}:0"
KIT_DAYS: Final = 2
REFRESH_SECONDS: Final = 0.2


class Watcher(Protocol):
    """Be shown a run while it goes on."""

    def show(self, observation: Observation) -> None:
        """Show how things stand; called after every happening and a few times a second."""


def run_scenario(
    scenario: Scenario, out: Path, watcher: Watcher, *, keep_kits: Path | None = None
) -> Outcome:
    """Run `scenario` in `out` and judge it.

    Args:
        scenario: what to run, break and expect.
        out: the run folder; must not exist, or be empty.
        watcher: is shown the run while it goes on.
        keep_kits: where to leave the startup kits; without it they are deleted, keys and all.

    Raises:
        ConfigError: the folders cannot be used, or a market's data settings cannot.

    Guarantees: no process outlives this call, however it ends.
    """
    _make_run_folder(out)
    with _kits(scenario, out, keep_kits) as kits:
        _copy_public_parts(kits, out)
        run = _Run(scenario, kits, watcher)
        begin = time.monotonic()
        with Processes(out / "logs") as processes:
            out_of_time = not run.drive(processes, begin + scenario.expect.max_seconds)
        seconds = time.monotonic() - begin
    return conclude(scenario, out, run.observation, seconds=seconds, out_of_time=out_of_time)


@dataclass(slots=True)
class _Run:
    """Start, watch and restart the processes of one scenario."""

    scenario: Scenario
    kits: Kits
    watcher: Watcher
    observation: Observation = field(default_factory=Observation)

    def drive(self, processes: Processes, deadline: float) -> bool:
        """Return when every process has ended, or False at the deadline; whatever is left is the caller's."""
        self._start(processes, COORDINATOR)
        while processes.running():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            for happening in processes.wait(min(remaining, REFRESH_SECONDS)):
                self.observation.see(happening)
                self._react(processes, happening)
            self.watcher.show(self.observation)
        return True

    def _react(self, processes: Processes, happening: Happening) -> None:
        nodes_wait = all(self.observation.party(name).times == 0 for name in self.kits.nodes)
        if nodes_wait and self.observation.port is not None:
            for name in self.kits.nodes:
                self._start(processes, name)
        if isinstance(happening, Exited):
            self._after_exit(processes, happening)

    def _after_exit(self, processes: Processes, exited: Exited) -> None:
        ending = self.observation.endings[-1]
        fault = self.scenario.fault_at(exited.name, ending.times) if ending.killed else None
        failed = exited.name == COORDINATOR or (exited.returncode != 0 and fault is None)
        if fault is not None and fault.restart:
            self._start(processes, exited.name)
        elif failed and self.observation.completed_rounds is None:
            # Nothing good can come of this run any more; waiting for its deadlines would only hide the cause.
            for name in processes.running():
                processes.kill(name)

    def _start(self, processes: Processes, name: str) -> None:
        fault = self.scenario.fault_at(name, self.observation.party(name).times + 1)
        environment = {} if fault is None else {FAILPOINT_VARIABLE: fault.failpoint()}
        self.observation.see(processes.start(name, self._command(name), environment))

    def _command(self, name: str) -> list[str]:
        # The coordinator chooses a port at its first start and must come back at it.
        port = self.observation.port
        address = f"{LOOPBACK}:{port}" if port else ANY_PORT
        if name == COORDINATOR:
            return python_module("coordinator", "--config", str(self.kits.coordinator), "--listen", address)
        config = self.kits.nodes[NodeId(name)]
        return python_module("market_node", "--config", str(config), "--coordinator", address)


def _make_run_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        taken = any(out.iterdir())
    except OSError as error:
        raise ConfigError(
            f"cannot be a run folder: {error.strerror}", remedy="choose another --out", source=str(out)
        ) from None
    if taken:
        raise ConfigError("holds something already", remedy="choose another --out", source=str(out))


@contextmanager
def _kits(scenario: Scenario, out: Path, keep: Path | None) -> Iterator[Kits]:
    with tempfile.TemporaryDirectory(prefix="fecosr-kits-") as folder:
        yield provision(
            scenario.plan,
            scenario.by_name(),
            keep or Path(folder) / "kits",
            coordinator=CoordinatorSection(address=ANY_PORT, listen=ANY_PORT),
            days=KIT_DAYS,
            now=utc_now(),
            entropy=secrets.token_bytes,
            storage=out.absolute(),
        )


def _copy_public_parts(kits: Kits, out: Path) -> None:
    for name in ("plan.toml", "roster.toml"):
        shutil.copyfile(kits.coordinator.with_name(name), out / name)
