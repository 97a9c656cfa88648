"""`fecosr simulate`: one secure aggregation in this process, with seeded faults, judged by an oracle."""

import dataclasses
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import typer

from fecosr.config.exits import DONE, FAILED
from fecosr.crypto.labels import sha256
from fecosr.errors import ConfigError, MisuseError
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.server import Aborted, Completed, ServerState
from fecosr.simulation.faults import Faults
from fecosr.simulation.participants import SeededParticipant, seeded_participants
from fecosr.simulation.session import SimulatedSession, simulate_session
from fecosr.simulation.verdict import Verdict, judge

SILENCE_SECONDS: Final = 2.0
"""Nothing that takes longer goes on without a word."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Say what to simulate, as the command line says it; what is None follows from the number of nodes.

    Attributes:
        nodes: how many clients.
        length: elements of each vector.
        dropout: chance that a client leaves in a phase drawn at random.
        seed: decides everything.
        faults: further faults, "name=value" each.
        n_min: fewest survivors whose sum may be opened; half of the nodes by default.
        max_colluding: clients assumed to collude with the server; a tenth of the nodes by default.
        ring_bits: the ring whose elements travel.
    """

    nodes: int
    length: int
    dropout: float
    seed: int
    faults: Sequence[str]
    n_min: int | None
    max_colluding: int | None
    ring_bits: int

    def parameters(self) -> SecAggParameters:
        """Return what everybody agrees on."""
        colluding = self.nodes // 10 if self.max_colluding is None else self.max_colluding
        n_min = max(colluding + 2, self.nodes // 2) if self.n_min is None else self.n_min
        return SecAggParameters(sha256(b"fecosr simulate"), self.length, n_min, colluding, self.ring_bits)

    def network_faults(self) -> Faults:
        """Return what goes wrong.

        Raises:
            ConfigError: a fault is not "name=value" with a known name and a number.
        """
        names = {field.name for field in dataclasses.fields(Faults)} - {"dropout"}
        chosen: dict[str, float] = {}
        for fault in self.faults:
            name, equals, value = fault.partition("=")
            if not equals or name not in names:
                raise ConfigError(
                    f"{fault!r} is no fault", remedy=f"NAME=NUMBER of {', '.join(sorted(names))}"
                )
            chosen[name] = _number(name, value)
        return Faults(dropout=self.dropout, **chosen)


def run_simulation(rehearsal: Rehearsal, *, as_json: bool) -> int:
    """Simulate one session, print how it went, and return the exit code."""
    started = time.perf_counter()
    session, verdict = _simulate(rehearsal, _Narrator(rehearsal.nodes, started))
    wall_seconds = time.perf_counter() - started
    report = _report(rehearsal, session, verdict, wall_seconds)
    typer.echo(json.dumps(report, indent=2) if as_json else _render(rehearsal, session, verdict, report))
    return FAILED if verdict.faults else DONE


def _simulate(rehearsal: Rehearsal, watch: Callable[[ServerState], None]) -> tuple[SimulatedSession, Verdict]:
    people: Sequence[SeededParticipant] = seeded_participants(
        rehearsal.nodes, rehearsal.length, rehearsal.seed
    )
    try:
        session = simulate_session(
            rehearsal.parameters(),
            people,
            rehearsal.network_faults(),
            rehearsal.seed,
            watch=watch,
            clock=time.process_time,
        )
    except MisuseError as error:
        raise ConfigError(f"this cannot be simulated: {error}") from None
    return session, judge(session, people)


class _Narrator:
    """Write a line on standard error whenever nothing was said for two seconds."""

    def __init__(self, nodes: int, started: float) -> None:
        self._nodes = nodes
        self._started = started
        self._spoke = started
        self._events = 0

    def __call__(self, state: ServerState) -> None:
        self._events += 1
        now = time.perf_counter()
        if now - self._spoke < SILENCE_SECONDS or isinstance(state, Completed | Aborted):
            return
        self._spoke = now
        answered = len(state.asked) - len(state.waiting_for)
        sys.stderr.write(
            f"{now - self._started:.0f} s: {state.phase}: {answered} of {len(state.asked)} through, "
            f"{len(state.gone)} of {self._nodes} have left, {self._events} messages so far\n"
        )


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{name}={text!r} is not a number") from None


def _report(
    rehearsal: Rehearsal, session: SimulatedSession, verdict: Verdict, wall_seconds: float
) -> dict[str, object]:
    return {
        "nodes": rehearsal.nodes,
        "length": rehearsal.length,
        "dropout": rehearsal.dropout,
        "ring_bits": rehearsal.ring_bits,
        "seed": rehearsal.seed,
        "completed": verdict.completed,
        "survivors": len(verdict.survivors),
        "dropouts": {
            phase.value: {reason.value: count for reason, count in reasons.items()}
            for phase, reasons in verdict.dropouts.items()
        },
        "abort": verdict.abort and verdict.abort.value,
        "expected_abort": verdict.expected_abort and verdict.expected_abort.value,
        "sum_correct": verdict.sum_correct,
        "faults": list(verdict.faults),
        "virtual_seconds": round(session.seconds, 3),
        "wall_seconds": round(wall_seconds, 3),
        "coordinator_seconds": round(session.server_seconds, 3),
        "peak_memory_bytes": _peak_memory_bytes(),
    }


def _render(
    rehearsal: Rehearsal, session: SimulatedSession, verdict: Verdict, report: dict[str, object]
) -> str:
    rules = f"n_min {session.parameters.n_min}, max_colluding {session.parameters.max_colluding}"
    elements = f"{rehearsal.length} elements of {rehearsal.ring_bits} bits"
    memory = f"{_peak_memory_bytes() / 2**20:.0f} MiB"
    lines = [
        f"{rehearsal.nodes} nodes, {elements}, {rules}, seed {rehearsal.seed}",
        f"survivors: {len(verdict.survivors)}",
        *_dropout_lines(verdict),
        _ending(session, verdict),
        f"virtual time {session.seconds:.1f} s, wall time {report['wall_seconds']} s, peak memory {memory}",
        f"processor time of the coordinator {report['coordinator_seconds']} s",
        *(f"wrong: {fault}" for fault in verdict.faults),
    ]
    return "\n".join(lines)


def _dropout_lines(verdict: Verdict) -> list[str]:
    if not verdict.dropouts:
        return ["dropouts: none"]
    return [
        f"dropouts in {phase}: {', '.join(f'{count} {reason}' for reason, count in reasons.items())}"
        for phase, reasons in verdict.dropouts.items()
    ]


def _ending(session: SimulatedSession, verdict: Verdict) -> str:
    if isinstance(session.outcome, Aborted):
        due = "as it had to be" if verdict.abort == verdict.expected_abort else "which nothing explains"
        return f"aborted: {session.outcome.reason} ({session.outcome.detail}), {due}"
    return f"the sum {'equals' if verdict.sum_correct else 'DIFFERS FROM'} the oracle's"


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    return peak if sys.platform == "darwin" else peak * 1024
