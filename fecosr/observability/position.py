"""Which round, attempt and phase a log line belongs to, so that every line can say it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from fecosr.observability.lines import Fields, text, whole

STARTING: Final = "starting"
GATHERING: Final = "gathering"
TRAINING: Final = "training"
FINISHING: Final = "finishing"
FINE_TUNING: Final = "fine_tuning"

_PHASES: Final[Mapping[str, str]] = {
    "coordinator_ready": GATHERING,
    "node_ready": GATHERING,
    "waiting_for": GATHERING,
    "round_released": GATHERING,
    "sketch_released": GATHERING,
    "round_aborted": GATHERING,
    "round_closed": GATHERING,
    "sketch_started": TRAINING,
    "training_started": TRAINING,
    "run_completed": FINISHING,
    "run_aborted": FINISHING,
    "final_model_kept": FINE_TUNING,
    "fine_tuning_started": FINE_TUNING,
}
"""Where a party is from this event on; within an attempt `phase_started` says so itself."""


@dataclass(frozen=True, slots=True)
class Position:
    """Say where in the run a party is.

    Attributes:
        round: the round it last spoke of, 0 before the first; `attempt` likewise.
        phase: a phase of secure aggregation, or what stands in for one outside of it.
    """

    round: int = 0
    attempt: int = 0
    phase: str = STARTING

    def of(self, event: str, fields: Fields) -> "Position":
        """Return where the line itself stands: still in the phase that it ends."""
        number = whole(fields, "round")
        attempt = whole(fields, "attempt")
        if number is None:
            return self
        if attempt is None:
            attempt = self.attempt if number == self.round else 0
        phase = text(fields, "phase") if event == "phase_started" else self.phase
        return replace(self, round=number, attempt=attempt, phase=phase or self.phase)

    def after(self, event: str, fields: Fields) -> "Position":
        """Return where the party is once it has written this line."""
        here = self.of(event, fields)
        return replace(here, phase=_PHASES.get(event, here.phase))
