"""Named places where a process can be told to kill itself, so that crashes can be rehearsed at exact moments.

`FECOSR_FAILPOINT=masked_input@3=kill` makes the process die by SIGKILL just before it would send what the
masked-input phase of round 3 demands. SIGKILL cannot be caught: nothing is flushed, closed or said, which is
what a power cut does. Without the variable every hit is a comparison with None.
"""

import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fecosr.errors import ConfigError
from fecosr.secagg.messages import Phase

VARIABLE: Final = "FECOSR_FAILPOINT"
TRAINING: Final = "training"
POINTS: Final = frozenset({TRAINING, *(phase.value for phase in Phase)})
_FORM: Final = re.compile(r"([a-z_]+)@(\d{1,9})=kill")


@dataclass(frozen=True, slots=True)
class Failpoint:
    """Die at one point of one round."""

    point: str
    round: int

    def hit(self, point: str, round_number: int) -> None:
        """Kill this process if this is the place and the round."""
        if (point, round_number) == (self.point, self.round):
            os.kill(os.getpid(), signal.SIGKILL)


NEVER: Final = Failpoint("", -1)
"""A failpoint that no process ever reaches."""


def failpoint_from(environment: Mapping[str, str]) -> Failpoint:
    """Return the failpoint that the environment asks for.

    Raises:
        ConfigError: the variable is set to something that is no failpoint.
    """
    text = environment.get(VARIABLE, "")
    if not text:
        return NEVER
    match = _FORM.fullmatch(text)
    if match is None or match[1] not in POINTS:
        raise ConfigError(
            f"{VARIABLE}={text!r} is not a failpoint",
            remedy=f"write POINT@ROUND=kill with POINT one of {', '.join(sorted(POINTS))}",
        )
    return Failpoint(match[1], int(match[2]))
