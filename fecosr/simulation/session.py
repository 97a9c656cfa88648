"""One secure aggregation over the simulated network: real clients, a real server, virtual time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Final

from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId
from fecosr.secagg.client import ClientRecord, ClientState, begin
from fecosr.secagg.messages import Phase
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.server import Aborted, Completed, ServerRecord, ServerState, open_session
from fecosr.simulation.drivers import Crash, Drivers, Event
from fecosr.simulation.faults import Faults
from fecosr.simulation.network import Network
from fecosr.simulation.participants import Participating
from fecosr.simulation.trace import Trace

PHASE_SECONDS: Final[Mapping[Phase, float]] = MappingProxyType(dict.fromkeys(Phase, 10.0))
Watch = Callable[[ServerState], None]
"""Looks at the server's state after everything that happens."""


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedSession:
    """Hold how a session went.

    Attributes:
        parameters: what everybody agreed on.
        outcome: how it ended for the server.
        clients: the state each client was last in.
        server_records: what the server stored, in order.
        client_records: what each client stored, in order.
        violations: every breach somebody noticed, late messages aside.
        crashed: who crashed or left.
        trace: who answered and who left, phase by phase.
        seconds: virtual time from the opening to the end.
        server_seconds: what the server's transitions took, by the clock that was given.
    """

    parameters: SecAggParameters
    outcome: Completed | Aborted
    clients: Mapping[NodeId, ClientState]
    server_records: Sequence[ServerRecord]
    client_records: Mapping[NodeId, Sequence[ClientRecord]]
    violations: Sequence[ProtocolViolation]
    crashed: frozenset[NodeId]
    trace: Trace
    seconds: float
    server_seconds: float


def simulate_session(
    parameters: SecAggParameters,
    participants: Sequence[Participating],
    faults: Faults,
    seed: int,
    *,
    phase_seconds: Mapping[Phase, float] = PHASE_SECONDS,
    watch: Watch = lambda _state: None,
    clock: Callable[[], float] = lambda: 0.0,
) -> SimulatedSession:
    """Run one session to its end and return what happened.

    Args:
        parameters: what everybody agreed on.
        participants: the clients.
        faults: what goes wrong, and how often.
        seed: decides every delay and every fault.
        phase_seconds: how long each phase may take, in virtual seconds.
        watch: looks at the server's state after everything that happens.
        clock: returns seconds; without one, what the server takes is not told.

    Raises:
        MisuseError: no session can be opened for these clients under these parameters.
    """
    random = Random(seed)  # noqa: S311 - a simulation must be reproducible, and guards nothing
    roster = {someone.client: someone.identity.public for someone in participants}
    opened = open_session(parameters, roster, frozenset(roster), phase_seconds, now=0.0)
    network: Network[Event] = Network(faults, random)
    leaving = dict(_draw_leaving(sorted(roster), faults, random))
    drivers = Drivers(network, frozenset(roster), opened, leaving, clock)
    for crash, at in _draw_crashes(sorted(roster), faults, random):
        network.schedule(crash, at)
    for someone in participants:
        begun = begin(parameters, someone.client, someone.identity, roster, someone.vector, someone.entropy)
        drivers.adopt_client(someone.client, begun)
    outcome = drivers.run(watch)
    return SimulatedSession(
        parameters=parameters,
        outcome=outcome,
        clients=drivers.clients,
        server_records=drivers.server_records,
        client_records=drivers.client_records,
        violations=drivers.violations,
        crashed=frozenset(drivers.crashed),
        trace=drivers.trace,
        seconds=drivers.now,
        server_seconds=drivers.server_seconds,
    )


def _draw_leaving(
    clients: Sequence[NodeId], faults: Faults, random: Random
) -> Iterable[tuple[NodeId, tuple[Phase, Crash]]]:
    for client in clients:
        if random.random() < faults.dropout:
            yield client, (random.choice(list(Phase)), Crash(client, random.random() < faults.notice))


def _draw_crashes(clients: Sequence[NodeId], faults: Faults, random: Random) -> Iterable[tuple[Crash, float]]:
    for client in clients:
        if random.random() < faults.crash:
            noticed = random.random() < faults.notice
            yield Crash(client, noticed), random.uniform(0, faults.crash_within_seconds)
