"""What a scenario can break, and when: one section for each kind of fault.

A fault by phase happens at an exact place: the target stops itself there, the harness does what the fault
says, and only then lets it go on. A fault by time happens so long after the market nodes were started.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from fecosr.config.toml import Section
from fecosr.harness.lies import LIES

Point = Literal["training", "advertise_keys", "share_keys", "masked_input", "consistency", "unmask"]
COUNTED_BEFORE_KILL: Final[frozenset[Point]] = frozenset({"consistency", "unmask"})
"""A market killed at one of these has delivered its masked vector: it is a survivor of the round."""

EVERYBODY: Final = "all"
Target = Annotated[str, Field(description='a market, or "coordinator"')]
Link = Annotated[str, Field(description='the market whose link is meant, or "coordinator" for every link')]
Lasting = Annotated[
    float | None, Field(gt=0, le=3600, description="for how long; without it, for the rest of the run")
]
Brief = Annotated[float, Field(gt=0, le=3600, description="for how long")]


class _At(Section):
    """Say when: at a point of a round, or some seconds after the nodes were started."""

    round: Annotated[
        int | None, Field(ge=0, description="in which round, 0 being that of sketches; with `phase`")
    ] = None
    phase: Annotated[
        Point | None,
        Field(description="just before the target sends what this point of the round demands; with `round`"),
    ] = None
    at_seconds: Annotated[
        float | None,
        Field(ge=0, le=24 * 3600, description="after the nodes were started; instead of `round` and `phase`"),
    ] = None

    @model_validator(mode="after")
    def _once(self) -> "_At":
        by_phase = (self.round is not None, self.phase is not None)
        if any(by_phase) != all(by_phase) or all(by_phase) == (self.at_seconds is not None):
            raise ValueError("say when: round and phase together, or at_seconds")
        return self

    def when(self) -> str:
        """Return the moment in words."""
        return f"at {self.phase} of round {self.round}" if self.phase else f"after {self.at_seconds:g} s"


class Kill(_At):
    """Kill a process with SIGKILL, which cannot be caught, cleaned up after or announced."""

    kind: Literal["kill"]
    target: Target
    restart: Annotated[bool, Field(description="whether it is started again at once")]

    def words(self) -> str:
        """Return what happens, in words."""
        return f"{self.target} dies of SIGKILL {self.when()}"


class Restart(_At):
    """Ask a process to end (SIGTERM), and start it again once it has."""

    kind: Literal["restart"]
    target: Target
    within_seconds: Annotated[float, Field(gt=0, le=600, description="how long it may take to end")] = 10.0

    def words(self) -> str:
        """Return what happens, in words."""
        return f"{self.target} ends within {self.within_seconds:g} s of a SIGTERM {self.when()}"


class Pause(_At):
    """Stop a process (SIGSTOP) and let it go on later, as a suspended virtual machine does."""

    kind: Literal["pause"]
    target: Target
    for_seconds: Brief

    def words(self) -> str:
        """Return what happens, in words."""
        return f"{self.target} stands still for {self.for_seconds:g} s {self.when()}"


class Slow(_At):
    """Give a process only a part of the time, by stopping it again and again."""

    kind: Literal["slow"]
    target: Target
    factor: Annotated[float, Field(gt=1, le=100, description="how many times longer everything takes")]
    for_seconds: Lasting = None

    def words(self) -> str:
        """Return what happens, in words."""
        return f"{self.target} is slowed down {self.factor:g} times {self.when()}"


class FullDisk(_At):
    """Let every write of a process to a file fail, and start it again on a disk with room if it ends."""

    kind: Literal["full_disk"]
    target: Target
    for_seconds: Brief

    def words(self) -> str:
        """Return what happens, in words."""
        return f"the disk of {self.target} is full for {self.for_seconds:g} s {self.when()}"


class Delay(_At):
    """Let everything on a link arrive later, in both directions."""

    kind: Literal["delay"]
    target: Link
    seconds: Annotated[float, Field(gt=0, le=60, description="how much later each piece arrives")]
    for_seconds: Lasting = None

    def words(self) -> str:
        """Return what happens, in words."""
        return f"the link of {self.target} takes {self.seconds:g} s longer {self.when()}"


class Throttle(_At):
    """Let a link pass only so much."""

    kind: Literal["throttle"]
    target: Link
    bytes_per_second: Annotated[int, Field(ge=64, description="in each direction")]
    for_seconds: Lasting = None

    def words(self) -> str:
        """Return what happens, in words."""
        return f"the link of {self.target} passes {self.bytes_per_second} bytes a second {self.when()}"


class Drop(_At):
    """Reset the connections of a link, and refuse new ones for a while."""

    kind: Literal["drop"]
    target: Link
    for_seconds: Brief

    def words(self) -> str:
        """Return what happens, in words."""
        return f"the link of {self.target} is cut for {self.for_seconds:g} s {self.when()}"


class Partition(_At):
    """Let nothing pass for a while, without telling either end; what was sent arrives afterwards."""

    kind: Literal["partition"]
    target: Link
    for_seconds: Brief

    def words(self) -> str:
        """Return what happens, in words."""
        return f"nothing passes the link of {self.target} for {self.for_seconds:g} s {self.when()}"


class HalfOpen(_At):
    """Let the connections that stand now never pass anything again, and never end; new ones are sound."""

    kind: Literal["half_open"]
    target: Link

    def words(self) -> str:
        """Return what happens, in words."""
        return f"the connections of {self.target} are silently dead {self.when()}"


class Corrupt(_At):
    """Change a bit in some of the pieces that pass a link towards the coordinator."""

    kind: Literal["corrupt"]
    target: Link
    times: Annotated[int, Field(ge=1, le=1000, description="how many pieces are changed")] = 1

    def words(self) -> str:
        """Return what happens, in words."""
        return f"a bit is changed on the link of {self.target} {self.when()}"


class Garbage(_At):
    """Throw seeded random bytes at the coordinator's port, over connections of a stranger."""

    kind: Literal["garbage"]
    connections: Annotated[int, Field(ge=1, le=1000, description="how many, one after the other")] = 20
    seed: Annotated[int, Field(ge=0, description="decides the bytes")] = 0
    target: Literal["coordinator"] = "coordinator"

    def words(self) -> str:
        """Return what happens, in words."""
        return f"a stranger throws random bytes at the port {self.when()}"


class Revoke(_At):
    """Have the authority revoke a market's certificate, and hand the coordinator the new list."""

    kind: Literal["revoke"]
    target: Annotated[str, Field(description="the market")]

    def words(self) -> str:
        """Return what happens, in words."""
        return f"the certificate of {self.target} is revoked {self.when()}"


class Storm(Section):
    """Kill processes with SIGKILL, one at a time and drawn by lot, and start them again at once."""

    kind: Literal["storm"]
    every_seconds: Annotated[float, Field(ge=0.5, le=3600, description="between two kills")]
    seed: Annotated[int, Field(ge=0, description="decides who is hit")]
    targets: Annotated[
        Literal["all"] | tuple[str, ...], Field(description='who may be hit, or "all"', min_length=1)
    ] = EVERYBODY

    def words(self) -> str:
        """Return what happens, in words."""
        return f"some process is killed every {self.every_seconds:g} s (seed {self.seed})"


class ClockSkew(Section):
    """Let a process have another idea of the date and time than everybody else."""

    kind: Literal["clock_skew"]
    target: Target
    seconds: Annotated[
        float, Field(ge=-1e9, le=1e9, description="how far its clock is ahead; negative: behind")
    ]

    def words(self) -> str:
        """Return what happens, in words."""
        return f"the clock of {self.target} is {self.seconds:+g} s off"


class Lie(Section):
    """Let a coordinator that lies to one market take the place of the coordinator."""

    kind: Literal["lie"]
    target: Annotated[str, Field(description="the market that is lied to")]
    lie: Annotated[str, Field(description=f"one of {', '.join(sorted(LIES))}")]
    accomplice: Annotated[str, Field(description="another market, whose identity the coordinator has")]

    @model_validator(mode="after")
    def _known(self) -> "Lie":
        if self.lie not in LIES:
            raise ValueError(f"lie is one of {', '.join(sorted(LIES))}, not {self.lie!r}")
        if self.target == self.accomplice:
            raise ValueError("accomplice must be another market than target")
        return self

    def words(self) -> str:
        """Return what happens, in words."""
        return f"the coordinator lies to {self.target}: {self.lie.replace('_', ' ')}"


LinkFault = Delay | Throttle | Drop | Partition | HalfOpen | Corrupt
Timed = Kill | Restart | Pause | Slow | FullDisk | LinkFault | Garbage | Revoke
"""Faults with a moment of their own."""
Fault = Timed | Storm | ClockSkew | Lie
AnyFault = Annotated[Fault, Field(discriminator="kind")]


def targets_of(fault: Fault) -> tuple[str, ...]:
    """Return whom a fault names."""
    if isinstance(fault, Storm):
        return () if fault.targets == EVERYBODY else tuple(fault.targets)
    return (fault.target, fault.accomplice) if isinstance(fault, Lie) else (fault.target,)


def failpoint(fault: Fault) -> str:
    """Return what makes a process break off at the fault's point of a round, "" for a fault without one."""
    if not isinstance(fault, _At) or fault.phase is None:
        return ""
    return f"{fault.phase}@{fault.round}={'kill' if isinstance(fault, Kill) else 'stop'}"


def kinds() -> Mapping[str, type[Section]]:
    """Return the section of each kind of fault, by its name in a scenario."""
    sections: tuple[type[Section], ...] = (
        *(Kill, Restart, Pause, Slow, FullDisk, Delay, Throttle, Drop, Partition, HalfOpen, Corrupt),
        *(Garbage, Revoke, Storm, ClockSkew, Lie),
    )
    return {section.model_fields["kind"].annotation.__args__[0]: section for section in sections}  # type: ignore[union-attr]
