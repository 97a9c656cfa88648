"""One log line per event, JSON on standard error; the same words everywhere, never data or a secret."""

import logging
import sys

import structlog


def configure_logs(**bound: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger that writes JSON lines to standard error and puts `bound` on every one of them.

    Standard output stays free for results. Lines are flushed one by one, so a killed process loses none.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**bound)
    return logger
