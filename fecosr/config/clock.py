"""The one place that reads the calendar; everything below gets the time as an argument."""

from datetime import UTC, datetime, timedelta


class _Clock:
    """Tell the time of this process."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset  # noqa: TID251 - this is the clock that everybody else is handed


_CLOCK = _Clock()


def utc_now() -> datetime:
    """Return the current time, aware of its zone."""
    return _CLOCK.now()


def skew_clock(offset_seconds: float) -> None:
    """Let `utc_now` be so far ahead in this process from now on, in a rehearsal."""
    _CLOCK.offset = timedelta(seconds=offset_seconds)
