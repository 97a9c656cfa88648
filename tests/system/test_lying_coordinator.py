"""A coordinator that lies to real node processes: the node stops, names the rule, and reveals nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from fecosr.config.parties import load_node
from fecosr.harness.events import Logged
from fecosr.harness.lies import LIES, Lie
from fecosr.harness.lying_coordinator import lying
from fecosr.harness.processes import Processes, python_module
from fecosr.harness.wire_runs import Bench, provisioned
from fecosr.ids import NodeId

VICTIM, OTHER = NodeId("node-1"), NodeId("node-2")
NUM_NODES, NUM_PARAMETERS = 4, 1000
PATIENCE_SECONDS = 120.0
pytestmark = pytest.mark.system


def victim_says(processes: Processes) -> Iterator[Logged]:
    """Yield what the victim logs, until nothing comes any more."""
    while happenings := processes.wait(PATIENCE_SECONDS):
        yield from (it for it in happenings if isinstance(it, Logged) and it.name == VICTIM)


def first_refusal(processes: Processes) -> tuple[str, set[str]]:
    """Return which rule the victim says was broken first, and which phases it took part in before."""
    phases: set[str] = set()
    for logged in victim_says(processes):
        if logged.event == "refused":
            return logged.text("rule"), phases
        if logged.event == "phase_started":
            phases.add(logged.text("phase"))
    raise AssertionError(f"the victim refused nothing after {sorted(phases)}")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with provisioned(NUM_NODES, NUM_PARAMETERS, rounds=2) as made:
        yield made


@pytest.mark.parametrize("attack", LIES)
def test_a_real_node_stops_and_names_the_rule(bench: Bench, attack: str, tmp_path: Path) -> None:
    named, phases = asyncio.run(lied_to(bench, LIES[attack], tmp_path))
    assert named == LIES[attack].rule
    assert "unmask" not in phases, "it revealed shares before it stopped"


async def lied_to(bench: Bench, lie: Lie, folder: Path) -> tuple[str, set[str]]:
    """Return what `first_refusal` does of a round with real nodes that know nothing of earlier ones."""
    serving = lying(
        bench.kits.coordinator,
        lie,
        victim=VICTIM,
        accomplice=bench.kits.nodes[OTHER],
        address="127.0.0.1:0",
        spool=folder / "spool",
        log=structlog.get_logger(),
    )
    async with serving as port:
        with Processes(folder) as processes:
            for name, config in bench.kits.nodes.items():
                for left in load_node(config).storage.glob("*"):
                    left.unlink()
                command = python_module(
                    "fecosr.harness.bench_node",
                    *("--config", str(config)),
                    *("--coordinator", f"127.0.0.1:{port}"),
                    *("--num-parameters", str(NUM_PARAMETERS)),
                )
                processes.start(name, command)
            return await asyncio.to_thread(first_refusal, processes)
