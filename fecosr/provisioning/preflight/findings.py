"""What a check has to say: how bad it is, what was seen, what to do."""

from dataclasses import dataclass
from enum import StrEnum

from fecosr.errors import ConfigError, FecosrError


class Level(StrEnum):
    """Say how bad a finding is: a failure keeps the process from working, a warning will one day."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold what one check saw.

    Attributes:
        check: what was looked at, one word.
        level: how bad it is.
        message: what was seen; never a secret and never data.
        remedy: what to do; empty where nothing is.
    """

    check: str
    level: Level
    message: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding as a JSON object."""
        return {"check": self.check, "level": self.level, "message": self.message, "remedy": self.remedy}


def ok(check: str, message: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(check, Level.OK, message)


def warning(check: str, message: str, remedy: str) -> Finding:
    """Return something that works today."""
    return Finding(check, Level.WARNING, message, remedy)


def failure(check: str, message: str, remedy: str) -> Finding:
    """Return something that does not work."""
    return Finding(check, Level.FAILURE, message, remedy)


def from_error(check: str, error: FecosrError) -> Finding:
    """Return an error of ours as a failure, with the remedy it brings along."""
    if isinstance(error, ConfigError):
        place = f"{error.source}: " if error.source else ""
        return failure(check, f"{place}{error.message}", error.remedy or "restore it from the kit")
    return failure(check, str(error), "see the message")
