"""Carry a scenario out: kits, processes, faults, restarts, and in the end the verdict."""

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from fecosr.config.clock import utc_now
from fecosr.config.parties import load_coordinator
from fecosr.errors import ConfigError
from fecosr.harness.conclusion import Outcome, conclude
from fecosr.harness.events import Exited, Happening, Logged
from fecosr.harness.links import LOOPBACK, Links
from fecosr.harness.observation import Observation
from fecosr.harness.processes import Processes, python_module
from fecosr.harness.sabotage import Sabotage
from fecosr.harness.scenario import Scenario
from fecosr.harness.usage import UsageWatch
from fecosr.harness.warm_starts import Spawn, spawn_cold
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.approval import expel
from fecosr.provisioning.authority import open_authority
from fecosr.provisioning.federation_file import CoordinatorSection
from fecosr.provisioning.kits import AUTHORITY_FOLDER, Kits, provision
from fecosr.storage.atomic_files import write_bytes

ANY_PORT: Final = f"{LOOPBACK}:0"
KIT_DAYS: Final = 2
REFRESH_SECONDS: Final = 0.2


class Watcher(Protocol):
    """Be shown a run while it goes on."""

    def show(self, observation: Observation) -> None:
        """Show how things stand; called after every happening and a few times a second."""


def run_scenario(
    scenario: Scenario,
    out: Path,
    watcher: Watcher,
    *,
    keep_kits: Path | None = None,
    spawn: Spawn = spawn_cold,
) -> Outcome:
    """Run `scenario` in `out` and judge it.

    Args:
        scenario: what to run, break and expect.
        out: the run folder; must not exist, or be empty.
        watcher: is shown the run while it goes on.
        keep_kits: where to leave the startup kits; without it they are deleted, keys and all.
        spawn: starts a process; `WarmStarts.spawn` does it faster where there are many.

    Raises:
        ConfigError: the folders cannot be used, or a market's data settings cannot.

    Guarantees: no process outlives this call, however it ends.
    """
    _make_run_folder(out)
    with _kits(scenario, out, keep_kits) as kits:
        _copy_public_parts(kits, out)
        begin = time.monotonic()
        with Processes(out / "logs", spawn) as processes, Links() as links:
            run = _Run(scenario, kits, watcher, processes, _sabotage(scenario, kits, processes, links))
            out_of_time = not run.drive(begin + scenario.expect.max_seconds)
        seconds = time.monotonic() - begin
    return conclude(
        scenario, out, run.observation, run.usage.found(), seconds=seconds, out_of_time=out_of_time
    )


@dataclass(slots=True)
class _Run:
    """Start, watch, break and restart the processes of one scenario."""

    scenario: Scenario
    kits: Kits
    watcher: Watcher
    processes: Processes
    sabotage: Sabotage
    observation: Observation = field(default_factory=Observation)
    usage: UsageWatch = field(default_factory=UsageWatch)

    def drive(self, deadline: float) -> bool:
        """Return when every process has ended, or False at the deadline; whatever is left is the caller's."""
        self._start(COORDINATOR)
        while self.processes.running():
            now = time.monotonic()
            if now >= deadline:
                return False
            self.usage.look(self.processes, now)
            self._see_all(self.sabotage.act(now))
            due = self.sabotage.next_seconds()
            patience = REFRESH_SECONDS if due is None else min(REFRESH_SECONDS, due - now)
            self._see_all(self.processes.wait(min(deadline - now, patience)))
            self.watcher.show(self.observation)
            if self._is_refused():
                self._end_everything()
        return True

    def _see_all(self, happenings: Iterable[Happening]) -> None:
        for happening in happenings:
            self.observation.see(happening)
            self._react(happening)

    def _react(self, happening: Happening) -> None:
        nodes_wait = all(self.observation.party(name).times == 0 for name in self.kits.nodes)
        if nodes_wait and self.observation.port is not None:
            for name in self.kits.nodes:
                self._start(name)
            self.sabotage.begin(time.monotonic())
        match happening:
            case Exited():
                self._after_exit(happening)
            case Logged():
                self._see_all(self.sabotage.heard(happening, time.monotonic()))

    def _after_exit(self, exited: Exited) -> None:
        name, expect = exited.name, self.scenario.expect
        on_purpose, restart = self.sabotage.wants_restart(exited)
        foreseen = on_purpose or expect.ends != "completed" or exited.returncode == expect.exits.get(name, 0)
        if restart:
            self._start(name)
        elif (name == COORDINATOR or not foreseen) and not self._is_decided():
            # Nothing good can come of this run any more; waiting for its deadlines would only hide the cause.
            self._end_everything()

    def _is_decided(self) -> bool:
        return self.observation.completed_rounds is not None or self.observation.run_aborted is not None

    def _is_refused(self) -> bool:
        """Return whether a run that is to end with refusals has seen them all."""
        expect = self.scenario.expect
        wanted = expect.refusals.items()
        heard = self.observation.refusals
        return expect.ends == "refused" and all(rule in heard.get(name, ()) for name, rule in wanted)

    def _end_everything(self) -> None:
        for name in self.processes.running():
            self.observation.see(self.processes.kill(name))

    def _start(self, name: str) -> None:
        environment = self.sabotage.environment(name)
        self.observation.see(self.processes.start(name, self._command(name), environment))

    def _command(self, name: str) -> list[str]:
        # The coordinator chooses a port at its first start and must come back at it.
        port = self.observation.port
        if name == COORDINATOR:
            address = f"{LOOPBACK}:{port}" if port else ANY_PORT
            return self._coordinator_command("--config", str(self.kits.coordinator), "--listen", address)
        config = self.kits.nodes[NodeId(name)]
        address = f"{LOOPBACK}:{self.sabotage.port_for(name, port or 0)}"
        return python_module("market_node", "--config", str(config), "--coordinator", address)

    def _coordinator_command(self, *arguments: str) -> list[str]:
        lie = self.scenario.lie()
        if lie is None:
            return python_module("coordinator", *arguments)
        accomplice = self.kits.nodes[NodeId(lie.accomplice)]
        return python_module(
            "fecosr.harness.lying_coordinator",
            *arguments,
            *("--lie", lie.lie, "--victim", lie.target, "--accomplice", str(accomplice)),
        )


def _sabotage(scenario: Scenario, kits: Kits, processes: Processes, links: Links) -> Sabotage:
    def revoke(name: str) -> None:
        now = utc_now()
        with open_authority(kits.coordinator.parent.parent / AUTHORITY_FOLDER, now) as authority:
            changed = authority.store(expel(authority.register, NodeId(name), now), now)
        revoked = load_coordinator(kits.coordinator).tls.revoked
        write_bytes(revoked, changed.revocations(now))

    return Sabotage(scenario, processes, links, revoke)


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
