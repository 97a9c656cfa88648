"""Runs that `bench wire` measures, as processes on loopback: a real federation, or bare streaming."""

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from fecosr.config.clock import utc_now
from fecosr.config.plan import Plan
from fecosr.data.settings import DataSettings
from fecosr.errors import StorageError
from fecosr.federation.aggregation import Vector
from fecosr.harness.events import Exited, Logged
from fecosr.harness.links import Link, Links
from fecosr.harness.processes import Processes, python_module
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.federation_file import CoordinatorSection, MarketSection
from fecosr.provisioning.kits import Kits, provision
from fecosr.rpc.bare_streaming import READY, ROUND_DONE
from fecosr.storage.parameters import write_parameters

PARAMETER_BYTES: Final = 4
MAX_SECONDS: Final = 300.0
ANY_PORT: Final = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Rounds:
    """Hold what the rounds of one run took, all but the first, which is a warm-up.

    Attributes:
        seconds: of each round.
        processor_seconds: user and system time of all processes together, the mean of all rounds but the
            first and the last, with which processes end.
    """

    seconds: tuple[float, ...]
    processor_seconds: float


@dataclass(frozen=True, slots=True)
class WireRun:
    """Hold what one run of the real processes took.

    Attributes:
        rounds: of the run.
        coordinator_bytes: the coordinator's peak memory.
        node_bytes: the largest peak memory of a node.
    """

    rounds: Rounds
    coordinator_bytes: int
    node_bytes: int


@dataclass(frozen=True, slots=True)
class Bench:
    """Hold a provisioned federation.

    Attributes:
        kits: of all parties.
        folder: for logs; deleted with the rest at the end.
        num_parameters: length of the shared vector.
        rounds: how many a run has.
    """

    kits: Kits
    folder: Path
    num_parameters: int
    rounds: int

    def run_protocol(self, delay_seconds: float = 0.0) -> WireRun:
        """Run all rounds of the federation with real processes.

        Args:
            delay_seconds: how much later everything arrives, in each direction.

        Raises:
            StorageError: a process failed or did not finish; its log is part of the message.
        """
        with Processes(self.folder / "protocol") as processes, Links() as links:
            command = python_module("coordinator", "--config", str(self.kits.coordinator))
            processes.start(COORDINATOR, command)
            port = _first(processes, "coordinator_ready").whole("port") or 0
            for name, config in self.kits.nodes.items():
                address = f"127.0.0.1:{_far(links, name, port, delay_seconds) if delay_seconds else port}"
                command = python_module(
                    "fecosr.harness.bench_node",
                    *("--config", str(config)),
                    *("--coordinator", address),
                    *("--num-parameters", str(self.num_parameters)),
                )
                processes.start(name, command)
            rounds = _rounds(processes, "round_released", self.rounds)
            peaks = {name: processes.peak_bytes(name) for name in processes.running()}
        coordinator_bytes = peaks.pop(COORDINATOR)
        return WireRun(rounds, coordinator_bytes, max(peaks.values()))

    def run_bare(self, *, least_work: bool) -> Rounds:
        """Run as many bare rounds.

        Raises:
            StorageError: a process failed or did not finish.
        """
        module, clients = "fecosr.rpc.bare_streaming", str(len(self.kits.nodes))
        size_bytes = self.num_parameters * PARAMETER_BYTES
        options = ["--size-bytes", str(size_bytes), "--rounds", str(self.rounds), "--clients", clients]
        if least_work:
            options.append("--least-work")
        with Processes(self.folder / "bare") as processes:
            tls = ("--tls", str(self.kits.coordinator.parent / "tls"))
            processes.start("server", python_module(module, "server", *tls, *options))
            address = f"127.0.0.1:{_first(processes, READY).whole('port')}"
            for name, config in self.kits.nodes.items():
                tls = ("--tls", str(config.parent / "tls"))
                command = python_module(module, "client", *tls, *options, "--address", address)
                processes.start(name, command)
            return _rounds(processes, ROUND_DONE, self.rounds)


@contextmanager
def provisioned(
    num_nodes: int, num_parameters: int, *, rounds: int, ring_bits: int = 32, n_min: int | None = None
) -> Iterator[Bench]:
    """Provision markets and a model of the wanted length in a folder that is deleted afterwards.

    Args:
        num_nodes: how many markets.
        num_parameters: length of the shared vector.
        rounds: how many the plan has.
        ring_bits: of the ring.
        n_min: fewest survivors; None: everybody.
    """
    plan = Plan.model_validate(
        {
            "run": {"name": "bench-wire", "rounds": rounds, "seed": 0},
            "cohort": {"n_min": n_min or num_nodes, "max_colluding": 1},
            "privacy": {"mode": "none"},
            "aggregation": {"clip_norm": 10.0, "ring_bits": ring_bits},
        }
    )
    data = DataSettings(kind="synthetic", market="bench")
    markets = {
        NodeId(f"node-{number}"): MarketSection(name=f"node-{number}", data=data)
        for number in range(1, num_nodes + 1)
    }
    with tempfile.TemporaryDirectory(prefix="fecosr-bench-") as name:
        folder = Path(name)
        kits = provision(
            plan,
            markets,
            folder / "kits",
            coordinator=CoordinatorSection(address=ANY_PORT, listen=ANY_PORT),
            days=1,
            now=utc_now(),
            entropy=secrets.token_bytes,
            storage=folder / "state",
        )
        model: Vector = np.zeros(num_parameters, dtype=np.float32)
        write_parameters(kits.coordinator.parent / "initial_model.safetensors", model, {})
        yield Bench(kits, folder, num_parameters, rounds)


def _far(links: Links, name: str, port: int, delay_seconds: float) -> int:
    """Return a port at which the coordinator is found further away."""
    found = links.open(name, port)

    def delay(link: Link) -> None:
        link.weather.delay_seconds = delay_seconds

    links.change([name], delay)
    return found


def _first(processes: Processes, event: str) -> Logged:
    return next(_events(processes, event))


def _rounds(processes: Processes, event: str, rounds: int) -> Rounds:
    """Return what three or more rounds took, each of which ends with `event`."""
    seconds: list[float] = []
    used: list[float] = []
    for logged in islice(_events(processes, event), rounds):
        seconds.append(logged.number("seconds") or 0.0)
        used.append(sum(processes.processor_seconds(name) for name in processes.running()))
    return Rounds(tuple(seconds[1:]), (used[-2] - used[0]) / (rounds - 2))


def _events(processes: Processes, event: str) -> Iterator[Logged]:
    """Yield the events of that name while any process runs; a failed process ends the benchmark."""
    deadline = time.monotonic() + MAX_SECONDS
    while processes.running():
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise StorageError(f"the benchmark did not finish within {MAX_SECONDS:.0f} s")
        for happening in processes.wait(remaining):
            if isinstance(happening, Exited) and happening.returncode != 0:
                log = processes.log_folder / f"{happening.name}.jsonl"
                raise StorageError(f"{happening.name} failed: {log.read_text()[-2000:]}")
            if isinstance(happening, Logged) and happening.event == event:
                yield happening
    raise StorageError(f"the processes ended without logging {event!r} often enough")
