"""What more nodes and more parameters cost the coordinator and each node, by simulation of whole sessions.

The state machines are the real ones, and what they do is timed in processor seconds on one core: keys,
shares, signatures, masks, sums. What no simulation has is a wire and a disk: `fecosr bench wire` has both.
`python -m fecosr.harness.bench_scaling NODES PARAMETERS` is one such session in a process of its own.

Each figure stands beside the least work: to add the nodes' vectors and take their self masks off again; for a
node, the masks of its neighbours and its own. Where there are few parameters, what is above it are
signatures and shares; where there are many, it is nearly all there is.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer

from fecosr.crypto.labels import sha256
from fecosr.crypto.prg import add_keystream
from fecosr.errors import StorageError
from fecosr.harness.figures import Figure
from fecosr.secagg.degree import sparse_degree
from fecosr.secagg.graph import COMPLETE_UP_TO
from fecosr.secagg.parameters import SecAggParameters
from fecosr.simulation.faults import Faults
from fecosr.simulation.participants import seeded_participants
from fecosr.simulation.session import simulate_session

Point = tuple[int, int]

POINTS: Final[tuple[Point, ...]] = (
    (10, 10_000),
    (30, 10_000),
    (100, 10_000),
    (300, 10_000),
    (10, 1_000_000),
    (30, 1_000_000),
    (100, 1_000_000),
)
"""Nodes and parameters."""
_MEBIBYTE: Final = 2**20
_KEYSTREAMS: Final = 8

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def measure(points: tuple[Point, ...] = POINTS) -> list[Figure]:
    """Return processor seconds of coordinator and node for each number of nodes and parameters.

    Raises:
        StorageError: a simulation failed.
    """
    return [figure for point in points for figure in _figures(*point)]


def _figures(nodes: int, parameters: int) -> tuple[Figure, ...]:
    command = [sys.executable, "-P", "-m", "fecosr.harness.bench_scaling", str(nodes), str(parameters)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if ended.returncode:
        raise StorageError(f"the simulation of {nodes} nodes failed: {ended.stderr[-2000:]}")
    found = json.loads(ended.stdout)
    mask = _mask_seconds(parameters)
    subject = f"{nodes} nodes, {parameters:,} parameters"
    masks = found["neighbours"] + 1
    return (
        Figure(
            f"processor time of the coordinator, {subject}",
            found["coordinator_seconds"],
            nodes * mask,
            f"{nodes} masked vectors added and unmasked",
            "s",
        ),
        Figure(
            f"processor time of a node, {subject}",
            found["node_seconds"],
            masks * mask,
            f"{masks} masks",
            "s",
        ),
        Figure(
            f"memory of the coordinator and all nodes in one process, {subject}",
            found["bytes"] / _MEBIBYTE,
            parameters * 4 / _MEBIBYTE,
            "one vector",
            "MiB",
        ),
    )


def _mask_seconds(length: int) -> float:
    """Return the processor seconds of one mask: a keystream, added to a vector."""
    vector = np.zeros(length, dtype=np.uint32)
    begin = time.process_time()
    for number in range(_KEYSTREAMS):
        add_keystream(vector, sha256(bytes([number])), 1)
    return (time.process_time() - begin) / _KEYSTREAMS


@app.command()
def simulate(
    nodes: Annotated[int, typer.Argument(min=2)], parameters: Annotated[int, typer.Argument(min=1)]
) -> None:
    """Simulate one session in which nothing goes wrong and a tenth of the nodes may collude."""
    colluding = nodes // 10
    rules = SecAggParameters(sha256(b"fecosr bench scaling"), parameters, nodes // 2 + 1, colluding)
    people = seeded_participants(nodes, parameters, 0)
    before = _resident_bytes()
    begin = time.process_time()
    session = simulate_session(rules, people, Faults(), 0, clock=time.process_time)
    seconds = time.process_time() - begin
    degree = sparse_degree(nodes, colluding) if nodes > COMPLETE_UP_TO else None
    report = {
        "coordinator_seconds": session.server_seconds,
        "node_seconds": (seconds - session.server_seconds) / nodes,
        "neighbours": degree.num_neighbours if degree else nodes - 1,
        "bytes": _peak_bytes() - before,
    }
    typer.echo(json.dumps(report))


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    app()
