"""A market whose catalogue is divided among two processes of torchrun, one of which is killed."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fecosr.config.clock import utc_now
from fecosr.config.plan import Plan
from fecosr.harness.events import Exited, Logged
from fecosr.harness.processes import Processes, python_module
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.federation_file import CoordinatorSection, MarketSection
from fecosr.provisioning.kits import Kits, provision
from fecosr.storage.inspection import inspect_coordinator

pytestmark = [pytest.mark.system, pytest.mark.slow]

DIVIDED, OTHER = NodeId("alpha"), NodeId("beta")
PATIENCE_SECONDS = 300.0
ANY_PORT = "127.0.0.1:0"
PLAN = {
    "run": {"name": "divided", "rounds": 4, "seed": 1},
    "cohort": {"n_min": 2, "max_colluding": 0},
    "privacy": {"mode": "none", "validation": "released"},
    "aggregation": {"clip_norm": 5.0},
    "deadlines": {"join_seconds": 5.0},
    "semantics": {"dimension": 32},
    "encoder": {"dimension": 16, "num_blocks": 1, "max_length": 16},
    "fine_tuning": {"max_epochs": 2},
}


@pytest.fixture
def kits(tmp_path: Path) -> Kits:
    def market(name: NodeId) -> MarketSection:
        synthetic = {"num_users": 80, "num_items": 120}
        data = {"kind": "synthetic", "market": name, "min_core": 1, "synthetic": synthetic}
        shards = 2 if name == DIVIDED else 1
        content = {"name": name, "data": data, "report": {"local": False}, "num_shards": shards}
        return MarketSection.model_validate(content)

    return provision(
        Plan.model_validate(PLAN),
        {name: market(name) for name in (DIVIDED, OTHER)},
        tmp_path / "kits",
        coordinator=CoordinatorSection(address=ANY_PORT, listen=ANY_PORT),
        days=2,
        now=utc_now(),
        entropy=os.urandom,
        storage=tmp_path / "run",
    )


def torchrun(*arguments: str) -> list[str]:
    options = ["--standalone", "--nproc-per-node", "2", "-m", "market_node"]
    return [sys.executable, "-P", "-m", "torch.distributed.run", *options, *arguments]


def happenings(processes: Processes) -> Iterator[Logged | Exited]:
    """Yield what happens until nobody runs any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while processes.running():
        assert time.monotonic() < deadline, "the run takes too long"
        for happening in processes.wait(1.0):
            if isinstance(happening, Logged | Exited):
                yield happening


def test_a_divided_market_takes_part_and_outlives_the_death_of_a_shard(kits: Kits, tmp_path: Path) -> None:
    ended: dict[str, list[int]] = {}
    pid = 0
    with Processes(tmp_path / "logs") as processes:
        processes.start(COORDINATOR, python_module("coordinator", "--config", str(kits.coordinator)))
        heard = happenings(processes)
        first = next(it for it in heard if isinstance(it, Logged) and it.event == "coordinator_ready")
        to = ("--coordinator", f"127.0.0.1:{first.whole('port')}")
        command = torchrun("--config", str(kits.nodes[DIVIDED]), *to)
        processes.start(DIVIDED, command)
        processes.start(OTHER, python_module("market_node", "--config", str(kits.nodes[OTHER]), *to))
        for happening in heard:
            match happening:
                case Logged(event="shard_ready"):
                    pid = happening.whole("pid") or 0
                case Logged(event="round_released") if happening.whole("round") == 1:
                    os.kill(pid, signal.SIGKILL)
                case Exited(name=name, returncode=code):
                    ended.setdefault(name, []).append(code)
                    if ended.get(DIVIDED) == [1] and name == DIVIDED:
                        processes.start(DIVIDED, command)
                case _:
                    pass
    assert ended == {COORDINATOR: [0], DIVIDED: [1, 0], OTHER: [0]}
    status = inspect_coordinator(tmp_path / "run" / COORDINATOR)
    assert status is not None
    assert status.released is not None
    assert (status.state, status.released.round, status.released.survivors) == (
        "completed",
        4,
        (DIVIDED, OTHER),
    )
    report = json.loads((tmp_path / "run" / DIVIDED / "report.json").read_text())
    assert report["methods"]["fecosr"]["ndcg@10"] > report["methods"]["popularity"]["ndcg@10"]
    log = (tmp_path / "logs" / f"{DIVIDED}.jsonl").read_text()
    assert '"order": "train_round"' in log
    assert "another process of this node is gone" in log or '"exit_code": 143' in log
