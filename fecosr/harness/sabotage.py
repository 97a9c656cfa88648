"""Carry the faults of a scenario out: at points of rounds, at times, and for as long as they last."""

import heapq
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Final

from fecosr.config.exits import FAILED, TERMINATED
from fecosr.harness.events import Exited, Happening, Logged, Struck
from fecosr.harness.faults import (
    EVERYBODY,
    Corrupt,
    Delay,
    Drop,
    Fault,
    FullDisk,
    Garbage,
    HalfOpen,
    Kill,
    LinkFault,
    Partition,
    Pause,
    Restart,
    Revoke,
    Slow,
    Storm,
    Throttle,
    failpoint,
)
from fecosr.harness.garbage import throw
from fecosr.harness.links import Link, Links
from fecosr.harness.processes import Processes
from fecosr.harness.scenario import Scenario
from fecosr.ids import COORDINATOR
from fecosr.rpc.failpoints import REACHED
from fecosr.rpc.failpoints import VARIABLE as REHEARSAL_VARIABLE

SLOW_PERIOD_SECONDS: Final = 0.2
"""Short beside every deadline, long beside a switch between processes."""
_OF_A_PROCESS: Final = Kill | Restart | Pause | Slow | FullDisk | LinkFault

Strike = Callable[[float], "Iterator[Happening]"]


@dataclass(order=True, slots=True)
class _Due:
    """Hold something to do at a time."""

    seconds: float
    serial: int
    strike: Strike = field(compare=False)


class Sabotage:
    """Know what is to be broken when, what was broken already, and which ends of processes follow from it.

    Args:
        scenario: whose faults are carried out.
        processes: the processes of the run.
        links: the network between them.
        revoke: revokes a market's certificate, and hands the coordinator the new list.
    """

    def __init__(
        self, scenario: Scenario, processes: Processes, links: Links, revoke: Callable[[str], None]
    ) -> None:
        self._scenario = scenario
        self._processes = processes
        self._links = links
        self._revoke = revoke
        self._coordinator_port = 0
        self._agenda: list[_Due] = []
        self._serials = count()
        self._struck: set[int] = set()
        self._ending: dict[str, tuple[int, int]] = {}
        self._full: set[str] = set()
        self._kills = 0

    def environment(self, name: str) -> dict[str, str]:
        """Return what the next start of a process needs to break off where it must."""
        orders = [
            failpoint(fault)
            for place, fault in enumerate(self._scenario.faults)
            if place not in self._struck and failpoint(fault) and _where(fault) == name
        ]
        offset = self._scenario.clock_offset_seconds(name)
        if offset:
            orders.append(f"clock={offset:+f}")
        return {REHEARSAL_VARIABLE: " ".join([self._scenario.plan.run.name, *orders])} if orders else {}

    def port_for(self, name: str, coordinator_port: int) -> int:
        """Return the port at which the node `name` finds the coordinator: that of its link, if it has one."""
        self._coordinator_port = coordinator_port
        links = {it.target for it in self._scenario.faults if isinstance(it, LinkFault)}
        if not links & {name, COORDINATOR}:
            return coordinator_port
        known = self._links.port(name)
        return self._links.open(name, coordinator_port) if known is None else known

    def begin(self, now: float) -> None:
        """Set the times of everything that happens by time, now that all nodes were started."""
        for place, fault in enumerate(self._scenario.faults):
            if isinstance(fault, Storm):
                storm = _Storm(self, place, fault, random.Random(fault.seed))  # noqa: S311 - a rehearsal
                self.do_at(now + fault.every_seconds, storm.strike)
            elif (seconds := getattr(fault, "at_seconds", None)) is not None:
                self.do_at(now + seconds, partial(self._strike, place))

    def next_seconds(self) -> float | None:
        """Return when there is something to do next, in the seconds of `begin`."""
        return self._agenda[0].seconds if self._agenda else None

    def act(self, now: float) -> Iterator[Happening]:
        """Do everything that is due, and yield what was done."""
        while self._agenda and self._agenda[0].seconds <= now:
            yield from heapq.heappop(self._agenda).strike(now)

    def heard(self, logged: Logged, now: float) -> Iterator[Happening]:
        """Strike a process that has stopped itself where a fault wants it, and let it go on."""
        if logged.event != REACHED:
            return
        self._processes.await_stop(logged.name)
        reached = f"{logged.text('point')}@{logged.whole('round')}=stop"
        is_held = False
        for place, fault in enumerate(self._scenario.faults):
            if place not in self._struck and failpoint(fault) == reached and _where(fault) == logged.name:
                yield from self._strike(place, now)
                is_held = is_held or isinstance(fault, Pause)
        if not is_held:
            self._processes.signal(logged.name, signal.SIGCONT)

    def wants_restart(self, exited: Exited) -> tuple[bool, bool]:
        """Return whether a process ended on purpose, and whether it is to be started again."""
        name = exited.name
        if name in self._ending:
            place, returncode = self._ending.pop(name)
            fault = self._scenario.faults[place]
            return exited.returncode == returncode, not isinstance(fault, Kill) or fault.restart
        if exited.returncode == FAILED and name in self._full:
            # The next start finds room: somebody has made some.
            self._full.discard(name)
            return True, True
        if exited.returncode != -signal.SIGKILL:
            return False, False
        for place, fault in enumerate(self._scenario.faults):
            by_phase = isinstance(fault, Kill) and fault.phase is not None and fault.target == name
            if place not in self._struck and by_phase:
                self._struck.add(place)
                return True, isinstance(fault, Kill) and fault.restart
        return False, False

    def do_at(self, seconds: float, strike: Strike) -> None:
        """Do something at a time."""
        heapq.heappush(self._agenda, _Due(seconds, next(self._serials), strike))

    def kill(self, place: int, name: str) -> Struck:
        """Kill a process on behalf of a fault."""
        self._ending[name] = (place, -signal.SIGKILL)
        self._processes.signal(name, signal.SIGKILL)
        self._kills += 1
        return Struck(name, place, f"{name} was killed (kill {self._kills} of the harness)", ends=True)

    def victims(self, fault: Storm) -> list[str]:
        """Return whom a storm can hit now."""
        running = self._processes.running() - self._ending.keys()
        return sorted(running if fault.targets == EVERYBODY else running & set(fault.targets))

    def _strike(self, place: int, now: float) -> Iterator[Happening]:
        fault = self._scenario.faults[place]
        self._struck.add(place)
        match fault:
            case Kill(target=name):
                if name in self._processes.running():
                    yield self.kill(place, name)
            case Restart(target=name, within_seconds=seconds):
                self.do_at(now + seconds, self._insisting(place, name))
                self._ending[name] = (place, TERMINATED)
                self._processes.signal(name, signal.SIGTERM)
                self._processes.signal(name, signal.SIGCONT)
                yield Struck(name, place, f"{name} was asked to end", ends=True)
            case Pause(target=name, for_seconds=seconds):
                self._processes.signal(name, signal.SIGSTOP)
                self.do_at(now + seconds, self._resuming(name))
                yield Struck(name, place, f"{name} was stopped for {seconds:g} s")
            case Slow(target=name):
                until = None if fault.for_seconds is None else now + fault.for_seconds
                self.do_at(now, _Slowness(self, self._processes, fault, until).strike)
                yield Struck(name, place, f"{name} was slowed down {fault.factor:g} times")
            case FullDisk(target=name, for_seconds=seconds):
                self._full.add(name)
                self._processes.limit_files(name, 0)
                self.do_at(now + seconds, self._emptying(name))
                yield Struck(name, place, f"the disk of {name} was full for {seconds:g} s", ends=True)
            case Garbage():
                stood = throw(self._coordinator_port, connections=fault.connections, seed=fault.seed)
                yield Struck(COORDINATOR, place, f"a stranger threw random bytes over {stood} connections")
            case Revoke(target=name):
                self._revoke(name)
                yield Struck(name, place, f"the certificate of {name} was revoked")
            case Delay() | Throttle() | Drop() | Partition() | HalfOpen() | Corrupt():
                yield from self._strike_links(place, fault, now)

    def _strike_links(self, place: int, fault: LinkFault, now: float) -> Iterator[Happening]:
        is_everybody = fault.target == COORDINATOR
        names = [market.name for market in self._scenario.markets] if is_everybody else [fault.target]
        worse, better = _changes(fault)
        self._links.change(names, worse)
        seconds = getattr(fault, "for_seconds", None)
        if seconds is not None:

            def heal(_now: float) -> Iterator[Happening]:
                self._links.change(names, better)
                return iter(())

            self.do_at(now + seconds, heal)
        lasting = "" if seconds is None else f" for {seconds:g} s"
        yield Struck(fault.target, place, f"the link of {fault.target} met: {fault.kind}{lasting}")

    def _resuming(self, name: str) -> Strike:
        def resume(_now: float) -> Iterator[Happening]:
            self._processes.signal(name, signal.SIGCONT)
            return iter(())

        return resume

    def _insisting(self, place: int, name: str) -> Strike:
        def insist(_now: float) -> Iterator[Happening]:
            if self._ending.get(name) == (place, TERMINATED):
                self._processes.signal(name, signal.SIGKILL)
            return iter(())

        return insist

    def _emptying(self, name: str) -> Strike:
        def empty(_now: float) -> Iterator[Happening]:
            self._processes.limit_files(name, None)
            return iter(())

        return empty


@dataclass(slots=True)
class _Storm:
    """Kill somebody, again and again."""

    sabotage: Sabotage
    place: int
    fault: Storm
    draw: random.Random

    def strike(self, now: float) -> Iterator[Happening]:
        """Kill one of those who can be hit, and come back later."""
        self.sabotage.do_at(now + self.fault.every_seconds, self.strike)
        victims = self.sabotage.victims(self.fault)
        if victims:
            yield self.sabotage.kill(self.place, self.draw.choice(victims))


@dataclass(slots=True)
class _Slowness:
    """Stop a process for a part of every moment."""

    sabotage: Sabotage
    processes: Processes
    fault: Slow
    until: float | None
    is_stopped: bool = False

    def strike(self, now: float) -> Iterator[Happening]:
        """Stop the process or let it go on, and come back soon."""
        is_over = self.until is not None and now >= self.until
        self.is_stopped = not (self.is_stopped or is_over)
        share = 1 / self.fault.factor
        self.processes.signal(self.fault.target, signal.SIGSTOP if self.is_stopped else signal.SIGCONT)
        if not is_over:
            pause = SLOW_PERIOD_SECONDS * (1 - share if self.is_stopped else share)
            self.sabotage.do_at(now + pause, self.strike)
        return iter(())


def _where(fault: Fault) -> str:
    """Return the process at whose points of a round a fault happens."""
    return fault.target if isinstance(fault, _OF_A_PROCESS) else COORDINATOR


def _changes(fault: LinkFault) -> tuple[Callable[[Link], None], Callable[[Link], None]]:
    """Return what a fault does to a link, and what undoes it."""

    def worse(link: Link) -> None:
        match fault:
            case Delay(seconds=seconds):
                link.weather.delay_seconds = seconds
            case Throttle(bytes_per_second=rate):
                link.weather.bytes_per_second = rate
            case Drop():
                link.cut()
            case Partition():
                link.weather.passing.clear()
            case HalfOpen():
                link.deaden()
            case Corrupt(times=times):
                link.weather.corrupt_pieces = times

    return worse, lambda link: _heal(link, fault)


def _heal(link: Link, fault: LinkFault) -> None:
    match fault:
        case Delay():
            link.weather.delay_seconds = 0.0
        case Throttle():
            link.weather.bytes_per_second = None
        case Drop():
            link.weather.refusing = False
        case _:
            link.weather.passing.set()
