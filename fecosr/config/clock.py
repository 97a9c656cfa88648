"""The one place that reads the calendar; everything below gets the time as an argument."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time, aware of its zone."""
    return datetime.now(UTC)  # noqa: TID251 - this is the clock that everybody else is handed
