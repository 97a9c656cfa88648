"""A market node without a market: everything a node does in a round but the training.

It speaks the real protocol over the real transport and stores claims and checkpoints on disk; its update is a
fixed random vector. `python -m fecosr.harness.bench_node` is one such process; the benchmark starts some.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from fecosr import __version__
from fecosr.config.clock import utc_now
from fecosr.config.heap import reuse_one_heap
from fecosr.config.logs import configure_logs
from fecosr.config.parties import load_identity, load_node, load_roster
from fecosr.config.plan import load_plan
from fecosr.federation.aggregation import Vector
from fecosr.federation.contribution import LocalUpdate, NodeSetup
from fecosr.federation.effects import AttemptClaimed, CheckpointKept, NodeRecord
from fecosr.federation.memory import Memory
from fecosr.federation.messages import RoundManifest
from fecosr.ids import NodeId
from fecosr.rpc.node_client import NodeClient
from fecosr.rpc.node_driver import NodeDriver
from fecosr.rpc.tls import TlsFiles
from fecosr.storage.checkpoint_store import CHECKPOINTS_FILE, CheckpointStore
from fecosr.storage.run_store import RunStore

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench_node(
    config: Annotated[Path, typer.Option("--config")],
    coordinator: Annotated[str, typer.Option("--coordinator")],
    num_parameters: Annotated[int, typer.Option("--num-parameters")],
) -> None:
    """Take part in a run with a fixed random update of the given length."""
    asyncio.run(_take_part(config, coordinator, num_parameters))


@dataclass(slots=True)
class _Store:
    """Store what a node must, and let the final model go: the benchmark ends there."""

    claims: RunStore
    checkpoints: CheckpointStore

    def persist(self, record: NodeRecord) -> None:
        match record:
            case AttemptClaimed(round=number, attempt=attempt):
                self.claims.claim(number, attempt)
            case CheckpointKept(kept=kept):
                self.checkpoints.keep(kept)
            case _:
                self.claims.put("latest", type(record).__name__)

    def keep_final_model(self, parameters: Vector) -> None:
        del parameters


@dataclass(frozen=True, slots=True)
class _Update:
    """Stand for training."""

    vector: Vector = field(repr=False)

    def train(self, manifest: RoundManifest, parameters: Vector) -> LocalUpdate:
        del parameters
        return LocalUpdate(manifest.model_hash, self.vector, 100, 1.0)


async def _take_part(path: Path, coordinator: str, num_parameters: int) -> None:
    config = load_node(path)
    plan = load_plan(config.plan).federation()
    roster = load_roster(config.roster)
    me = NodeId(config.market)
    setup = NodeSetup(
        me, load_identity(config.identity), roster, plan, config.policy, num_parameters, __version__
    )
    config.storage.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(len(me))
    update = _Update(generator.standard_normal(num_parameters, dtype=np.float32))
    files = TlsFiles(config.tls.ca, config.tls.certificate, config.tls.key)
    with (
        RunStore(config.storage / "node.sqlite", plan.run) as claims,
        CheckpointStore(
            config.storage / CHECKPOINTS_FILE,
            plan.run,
            roster.coordinator,
            market=me,
            identity=roster.nodes[me],
        ) as checkpoints,
    ):
        store = _Store(claims, checkpoints)
        log = configure_logs(run=plan.run, party=me, market=me)
        async with NodeClient(coordinator, files, clock=utc_now) as client:
            await NodeDriver(setup, Memory(), store, update.train, log=log).run(client)


if __name__ == "__main__":
    reuse_one_heap()
    app()
