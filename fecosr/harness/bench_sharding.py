"""One round over a huge catalogue, divided among two processes of torchrun, beside the same round in one.

Time is that of the busiest process, in processor seconds, for the machine may have fewer cores than
processes. Memory is what the round adds to what a process holds before it.
`python -m fecosr.harness.bench_sharding ITEMS` is one process of either kind.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer

from fecosr.data.sequences import NO_TARGET, Split
from fecosr.errors import StorageError
from fecosr.harness.figures import Figure
from fecosr.recommender.settings import SemanticsSettings
from fecosr.recommender.soft_targets import hard_targets
from fecosr.training.local import train_locally
from fecosr.training.parameters import flatten, new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.settings import LearningSettings, LocalTrainingSettings
from fecosr.training.sharded.group import ShardGroup
from fecosr.training.sharded.handing_out import hand_out, receive
from fecosr.training.sharded.shard import Shard

NUM_ITEMS: Final = 100_000
NUM_SHARDS: Final = 2
NUM_USERS: Final = 256
SEQUENCE_LENGTH: Final = 20
_SEED: Final = 1
_MEBIBYTE: Final = 2**20
_SETTINGS: Final = LearningSettings(
    semantics=SemanticsSettings(dimension=64),
    local_training=LocalTrainingSettings(loss="ce", batch_size=64),
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def measure(num_items: int = NUM_ITEMS) -> list[Figure]:
    """Return processor time and memory of a round of two shards beside those of one process.

    Raises:
        StorageError: a process failed, or two shards learnt something else than one process.
    """
    module = ("-m", "fecosr.harness.bench_sharding", str(num_items))
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(NUM_SHARDS))
    (alone,), together = _run(module), _run((*torchrun, *module))
    if abs(together[0]["norm"] - alone["norm"]) > 1e-3 * alone["norm"]:
        raise StorageError(f"the update of {NUM_SHARDS} shards is not that of one process")
    subject = f"a round over {num_items:,} items, the busiest of {NUM_SHARDS} shards"
    return [
        Figure(f"{what} of {subject}", max(it[key] for it in together), alone[key], "one process", unit)
        for what, key, unit in (("processor time", "seconds", "s"), ("memory", "mebibytes", "MiB"))
    ]


def _run(arguments: Sequence[str]) -> list[dict[str, float]]:
    command = [sys.executable, "-P", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603 - ours
    if ended.returncode:
        raise StorageError(f"a process of the benchmark failed: {ended.stderr[-2000:]}")
    return [json.loads(line) for line in ended.stdout.splitlines()]


@app.command()
def one_round(num_items: Annotated[int, typer.Argument(min=2)]) -> None:
    """Train for one round, alone or as the shard that torchrun says, and print what it took."""
    torch.set_num_threads(1)
    shard, num_shards = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    group = ShardGroup.join(shard, num_shards, bytes(32)) if num_shards > 1 else None
    data = _market(num_items, group)
    model = new_shared_model(_SETTINGS.encoder, _SETTINGS.semantics, _SEED)
    shared = flatten(model)
    before, begin = _resident_bytes(), time.process_time()
    result = train_locally(model, data, shared, _SETTINGS.local_training, seed=_SEED, round_number=1)
    report = {
        "seconds": time.process_time() - begin,
        "mebibytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / _MEBIBYTE,
        "norm": float(np.linalg.norm(result.update)),
    }
    # In one piece, so that the lines of two processes do not mix.
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()
    if group is not None:
        group.leave()


def _market(num_items: int, group: ShardGroup | None) -> PreparedMarket:
    """Return a market of random sequences over random items, or this shard's part of it."""
    if group is not None and group.shard > 0:
        return receive(group)[0]
    generator = np.random.default_rng(_SEED)
    width = _SETTINGS.semantics.dimension
    vectors = generator.standard_normal((num_items, width), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    train = tuple(generator.integers(0, num_items, SEQUENCE_LENGTH, dtype=np.int32) for _ in range(NUM_USERS))
    nobody = np.full(NUM_USERS, NO_TARGET, dtype=np.int32)
    hard = hard_targets(num_items)
    split = Split(train, nobody, nobody)
    whole = PreparedMarket("huge", num_items, split, torch.from_numpy(vectors), "", hard, hard)
    return whole if group is None else hand_out(Shard(group, num_items), whole)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    app()
