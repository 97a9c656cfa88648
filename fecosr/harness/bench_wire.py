"""Whole rounds on the wire, without training, beside bare gRPC streaming of the same bytes in the same run.

Ours: the real coordinator and its nodes as processes on loopback; mutual TLS, model download, all five
phases, every signature and ledger record, models and sums on disk. Two floors from
`fecosr.rpc.bare_streaming`: the streaming alone, and with the hashing and masking that no round can do
without. They are measured before and after ours, because machines get faster and slower while one looks away.

Each comparison is made twice: in seconds, which depend on how many cores the parties find free, and in
processor seconds of all processes together, which hardly do. The second floor beside the first says how near
twice the streaming any such round is already; `fecosr.rpc.least_work` says why it needs each of its passes.
"""

from collections.abc import Sequence
from statistics import mean, median
from typing import Final

from fecosr.harness.figures import Figure
from fecosr.harness.wire_runs import PARAMETER_BYTES, Rounds, WireRun, provisioned

NUM_PARAMETERS: Final = 10_000_000
NUM_NODES: Final = (3, 5)
ROUNDS: Final = 6
CROWD: Final = 20
"""Nodes of the run whose memory is measured."""
CROWD_ROUNDS: Final = 3
FEW_PARAMETERS: Final = 1_000
"""So few that the memory of such a run is that of the processes themselves."""
EMPTY_PARAMETERS: Final = 10_000
"""So few that such a round is messages, signatures and the disk, and next to no arithmetic."""
EMPTY_ROUNDS: Final = 20
EMPTY_SECONDS: Final = 0.15
"""What such a round of three nodes may take."""
FAR_SECONDS: Final = 0.05
"""One way to the coordinator, for nodes on another continent."""
COORDINATOR_VECTORS: Final = 6
NODE_VECTORS: Final = 3


def measure(num_parameters: int = NUM_PARAMETERS) -> list[Figure]:
    """Return seconds of whole rounds and peak memory.

    Raises:
        StorageError: a process failed or did not finish; its log is part of the message.
    """
    seconds = [figure for number in NUM_NODES for figure in _seconds_of(number, num_parameters)]
    return [*seconds, _far_round(num_parameters), _empty_round(), *_memory_figures(num_parameters)]


def _seconds_of(num_nodes: int, num_parameters: int) -> list[Figure]:
    """Compare the median round, the first of every run left out as warm-up, with both floors."""
    bare, least = [], []
    with provisioned(num_nodes, num_parameters, rounds=ROUNDS) as bench:
        for _ in range(2):
            bare.append(bench.run_bare(least_work=False))
            least.append(bench.run_bare(least_work=True))
        ours = bench.run_protocol().rounds
        bare.append(bench.run_bare(least_work=False))
        least.append(bench.run_bare(least_work=True))
    megabytes = num_parameters * PARAMETER_BYTES / 1e6
    name = f"round of {num_parameters:,} parameters, {num_nodes} nodes, mTLS, all phases, no training"
    streaming = f"bare gRPC streaming over mTLS, {megabytes:.0f} MB down and up per node"
    beside_least, least_work = f"{name}, beside the least work", f"{streaming}, hashed and masked"
    return [
        Figure(name, _typical([ours]), _typical(bare), streaming, "s"),
        Figure(beside_least, _typical([ours]), _typical(least), least_work, "s"),
        Figure(name, ours.processor_seconds, _processor(bare), streaming, "processor s"),
        Figure(beside_least, ours.processor_seconds, _processor(least), least_work, "processor s"),
        Figure(f"{name}, least work alone", _typical(least), _typical(bare), streaming, "s"),
        Figure(f"{name}, least work alone", _processor(least), _processor(bare), streaming, "processor s"),
    ]


def _typical(runs: Sequence[Rounds]) -> float:
    return median(median(rounds.seconds) for rounds in runs)


def _processor(runs: Sequence[Rounds]) -> float:
    return mean(rounds.processor_seconds for rounds in runs)


def _far_round(num_parameters: int) -> Figure:
    """Compare the median round of nodes that are far away with that of nodes next door."""
    seconds = []
    for delay_seconds in (0.0, FAR_SECONDS):
        with provisioned(NUM_NODES[0], num_parameters, rounds=ROUNDS) as bench:
            seconds.append(_typical([bench.run_protocol(delay_seconds).rounds]))
    near, far = seconds
    name = f"round of {num_parameters:,} parameters, {NUM_NODES[0]} nodes, an answer takes 100 ms"
    return Figure(name, far, near, "next door", "s")


def _empty_round() -> Figure:
    """Compare the median round that has next to nothing to do with what it may take."""
    with provisioned(NUM_NODES[0], EMPTY_PARAMETERS, rounds=EMPTY_ROUNDS) as bench:
        seconds = _typical([bench.run_protocol().rounds])
    name = f"empty round of {EMPTY_PARAMETERS:,} parameters, {NUM_NODES[0]} nodes, mTLS, all phases, durable"
    return Figure(name, seconds, EMPTY_SECONDS, "what it may take", "s")


def _memory_figures(num_parameters: int) -> list[Figure]:
    """Compare peak memory, less what the processes take without vectors, with what it may be."""
    large, small = _crowd(num_parameters), _crowd(FEW_PARAMETERS)
    vector = num_parameters * PARAMETER_BYTES / 1e6
    subject = f"{CROWD} nodes, {num_parameters:,} parameters"
    return [
        Figure(
            f"peak memory of the coordinator, {subject}",
            (large.coordinator_bytes - small.coordinator_bytes) / 1e6,
            COORDINATOR_VECTORS * vector,
            f"{COORDINATOR_VECTORS} vectors",
            "MB",
        ),
        Figure(
            f"peak memory of a node above the model, {subject}",
            (large.node_bytes - small.node_bytes) / 1e6 - vector,
            NODE_VECTORS * vector,
            f"{NODE_VECTORS} vectors",
            "MB",
        ),
    ]


def _crowd(num_parameters: int) -> WireRun:
    with provisioned(CROWD, num_parameters, rounds=CROWD_ROUNDS) as bench:
        return bench.run_protocol()
