"""A whole round on the wire, without training, beside bare gRPC streaming of the same bytes in the same run.

Ours: the real coordinator and three nodes as processes on loopback; mutual TLS, model download, all five
phases, every signature and ledger record, models and records on disk. The floor: `fecosr.rpc.bare_streaming`,
measured before and after ours, because machines get faster and slower while one looks away.
"""

import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from fecosr.config.clock import utc_now
from fecosr.config.plan import Plan
from fecosr.data.settings import DataSettings
from fecosr.errors import StorageError
from fecosr.federation.aggregation import Vector
from fecosr.harness.events import Exited, Logged
from fecosr.harness.figures import Figure
from fecosr.harness.processes import Processes, python_module
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.federation_file import CoordinatorSection, MarketSection
from fecosr.provisioning.kits import Kits, provision
from fecosr.rpc.bare_streaming import READY, ROUND_DONE
from fecosr.storage.parameters import write_parameters

NUM_PARAMETERS: Final = 10_000_000
NUM_NODES: Final = 3
ROUNDS: Final = 5
BARE_ROUNDS: Final = 4
ELEMENT_BYTES: Final = 4
MAX_SECONDS: Final = 300.0
ANY_PORT: Final = "127.0.0.1:0"


def measure(num_parameters: int = NUM_PARAMETERS) -> list[Figure]:
    """Return the median seconds of a round, the first one of every run left out as warm-up.

    Raises:
        StorageError: a process failed or did not finish; its log is part of the message.
    """
    with _provisioned(num_parameters) as (kits, folder):
        bare = _bare_seconds(kits, folder / "bare-1", num_parameters)
        ours = _our_seconds(kits, folder / "ours", num_parameters)
        bare += _bare_seconds(kits, folder / "bare-2", num_parameters)
    megabytes = num_parameters * ELEMENT_BYTES / 1e6
    return [
        Figure(
            name=f"round of {num_parameters:,} parameters, {NUM_NODES} nodes, mTLS, all phases, no training",
            ours=median(ours),
            reference=median(bare),
            reference_name=f"bare gRPC streaming over mTLS, {megabytes:.0f} MB down and up per node",
            unit="s",
        )
    ]


@contextmanager
def _provisioned(num_parameters: int) -> Iterator[tuple[Kits, Path]]:
    """Provision three markets and a model of the wanted length in a folder that is deleted afterwards."""
    plan = Plan.model_validate(
        {
            "run": {"name": "bench-wire", "rounds": ROUNDS, "seed": 0},
            "cohort": {"n_min": NUM_NODES, "max_colluding": 1},
            "privacy": {"mode": "none"},
            "aggregation": {"clip_norm": 10.0},
        }
    )
    data = DataSettings(kind="synthetic", market="bench")
    markets = {
        NodeId(f"node-{number}"): MarketSection(name=f"node-{number}", data=data)
        for number in range(1, NUM_NODES + 1)
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
        yield kits, folder


def _our_seconds(kits: Kits, logs: Path, num_parameters: int) -> list[float]:
    """Return the seconds from opening a round to releasing its sum, as the coordinator logs them."""
    with Processes(logs) as processes:
        processes.start(COORDINATOR, python_module("coordinator", "--config", str(kits.coordinator)))
        port = _first(processes, "coordinator_ready").whole("port")
        for name, config in kits.nodes.items():
            command = python_module(
                "fecosr.harness.bench_node",
                *("--config", str(config)),
                *("--coordinator", f"127.0.0.1:{port}"),
                *("--num-parameters", str(num_parameters)),
            )
            processes.start(name, command)
        return _seconds(processes, "round_released", ROUNDS)


def _bare_seconds(kits: Kits, logs: Path, num_parameters: int) -> list[float]:
    """Return the seconds of bare rounds, as their server logs them."""
    size = ("--size-bytes", str(num_parameters * ELEMENT_BYTES), "--rounds", str(BARE_ROUNDS))
    with Processes(logs) as processes:
        tls = ("--tls", str(kits.coordinator.parent / "tls"))
        module = "fecosr.rpc.bare_streaming"
        processes.start("server", python_module(module, "server", *tls, *size, "--clients", str(NUM_NODES)))
        address = f"127.0.0.1:{_first(processes, READY).whole('port')}"
        for name, config in kits.nodes.items():
            tls = ("--tls", str(config.parent / "tls"))
            processes.start(name, python_module(module, "client", *tls, *size, "--address", address))
        return _seconds(processes, ROUND_DONE, BARE_ROUNDS)


def _first(processes: Processes, event: str) -> Logged:
    return next(_events(processes, event))


def _seconds(processes: Processes, event: str, rounds: int) -> list[float]:
    found: Mapping[int, float] = {}
    for logged in _events(processes, event):
        number, seconds = logged.whole("round"), logged.number("seconds")
        if number is not None and seconds is not None:
            found = {**found, number: seconds}
        if len(found) == rounds:
            break
    return [seconds for number, seconds in found.items() if number > 1]


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
