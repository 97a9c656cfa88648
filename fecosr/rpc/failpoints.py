"""Named places where a process can be told to break off, so that crashes can be rehearsed at exact moments.

`FECOSR_REHEARSAL="spring masked_input@3=kill"` makes a process of the run `spring` die by SIGKILL just before
it would send what the masked-input phase of round 3 demands. SIGKILL cannot be caught: nothing is flushed,
closed or said, which is what a power cut does. `=stop` says so on the log and stops the process (SIGSTOP)
until somebody lets it go on. `clock=+3600` sets its clock an hour ahead.

Nothing is armed by accident: the variable begins with the name of the run, and a process of any other run
refuses to start under it. Without the variable every hit is a look into an empty table.
"""

import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import structlog

from fecosr.config.clock import skew_clock
from fecosr.errors import ConfigError
from fecosr.secagg.messages import Phase

VARIABLE: Final = "FECOSR_REHEARSAL"
TRAINING: Final = "training"
POINTS: Final = frozenset({TRAINING, *(phase.value for phase in Phase)})
REACHED: Final = "failpoint_reached"
_POINT: Final = re.compile(r"([a-z_]+)@(\d{1,9})=(kill|stop)")
_CLOCK: Final = re.compile(r"clock=([+-]\d{1,10}(?:\.\d{1,6})?)")

Action = Literal["kill", "stop"]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Hold what a process was told to do to itself.

    Attributes:
        actions: by point and round.
        clock_offset_seconds: how far its clock is ahead.
    """

    actions: Mapping[tuple[str, int], Action] = field(default_factory=dict)
    clock_offset_seconds: float = 0.0

    def hit(self, point: str, round_number: int) -> None:
        """Break off if this is a place and a round to do so."""
        action = self.actions.get((point, round_number))
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == "stop":
            line = json.dumps({"event": REACHED, "point": point, "round": round_number})
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGSTOP)


NEVER: Final = Rehearsal()
"""Nothing is rehearsed."""


def rehearsal_from(environment: Mapping[str, str], run: str) -> Rehearsal:
    """Return what the environment asks a process of `run` for.

    Raises:
        ConfigError: the variable is set for another run, or to something that cannot be rehearsed.
    """
    text = environment.get(VARIABLE, "")
    if not text:
        return NEVER
    named, *orders = text.split(" ")
    if named != run:
        raise ConfigError(
            f"{VARIABLE} is set, but not for the run {run}",
            remedy="unset it: it is for rehearsals only, and makes processes break off",
        )
    actions: dict[tuple[str, int], Action] = {}
    offset = 0.0
    for order in orders:
        point, clock = _POINT.fullmatch(order), _CLOCK.fullmatch(order)
        if point is not None and point[1] in POINTS:
            actions[point[1], int(point[2])] = "kill" if point[3] == "kill" else "stop"
        elif clock is not None:
            offset = float(clock[1])
        else:
            raise ConfigError(
                f"{VARIABLE}: {order!r} cannot be rehearsed",
                remedy="write RUN and then POINT@ROUND=kill, POINT@ROUND=stop or clock=+SECONDS, "
                f"with POINT one of {', '.join(sorted(POINTS))}",
            )
    return Rehearsal(actions, offset)


def begin_rehearsal(
    environment: Mapping[str, str], run: str, log: structlog.typing.FilteringBoundLogger
) -> Rehearsal:
    """Return what the environment asks this process for, with its clock set and a warning on its log.

    Raises:
        ConfigError: see `rehearsal_from`.
    """
    rehearsal = rehearsal_from(environment, run)
    if rehearsal != NEVER:
        skew_clock(rehearsal.clock_offset_seconds)
        log.warning("rehearsal", orders=environment[VARIABLE])
    return rehearsal
