"""What goes wrong in a simulated network, and how often."""

from dataclasses import dataclass

from fecosr.errors import MisuseError


@dataclass(frozen=True, slots=True)
class Faults:
    """Set how likely each fault is. The default network delays and therefore reorders, but loses nothing.

    Attributes:
        loss: chance that a message never arrives.
        duplication: chance that a message arrives a second time.
        dropout: chance that a client leaves in one of the five phases, drawn at random, instead of answering.
        crash: chance that a client crashes at some moment of the session.
        notice: chance that the server is told when a client is gone; otherwise it learns by waiting in vain.
        least_delay_seconds: every message takes at least this long ...
        most_delay_seconds: ... and at most this long.
        crash_within_seconds: a client that crashes does so within this time.

    Raises:
        MisuseError: a chance is not in [0, 1], or a time is not in order.
    """

    loss: float = 0.0
    duplication: float = 0.0
    dropout: float = 0.0
    crash: float = 0.0
    notice: float = 1.0
    least_delay_seconds: float = 0.01
    most_delay_seconds: float = 1.0
    crash_within_seconds: float = 5.0

    def __post_init__(self) -> None:
        chances = (self.loss, self.duplication, self.dropout, self.crash, self.notice)
        if not all(0 <= chance <= 1 for chance in chances):
            raise MisuseError("a chance must be in [0, 1]")
        if not 0 <= self.least_delay_seconds <= self.most_delay_seconds < float("inf"):
            raise MisuseError("delays must be ordered, finite and not negative")
        if not 0 <= self.crash_within_seconds < float("inf"):
            raise MisuseError("crash_within_seconds must be finite and not negative")
