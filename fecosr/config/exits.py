"""How every FeCoSR process ends: one line on standard error and an exit code that means something.

`CATALOGUE` lists them all: README.md prints it, and service managers are configured after it.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from fecosr.errors import ConfigError, FecosrError

if TYPE_CHECKING:
    # The command line imports this module before it knows whether anything will ever be logged.
    import structlog

DONE: Final = 0
FAILED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130
TERMINATED: Final = 143
_BY_SIGNAL: Final = {int(signal.SIGINT): INTERRUPTED, int(signal.SIGTERM): TERMINATED}


@dataclass(frozen=True, slots=True)
class ExitCode:
    """Say what one exit code means.

    Attributes:
        code: the number.
        name: one word.
        meaning: what happened.
        remedy: what to do.
    """

    code: int
    name: str
    meaning: str
    remedy: str


CATALOGUE: Final = (
    ExitCode(DONE, "done", "what was asked for happened", "nothing"),
    ExitCode(
        FAILED,
        "failed",
        "it was tried and did not hold, or another party made it impossible",
        "read the line on standard error; the same command may be run again",
    ),
    ExitCode(
        UNUSABLE,
        "unusable",
        "a file, option, data set or installation cannot be used; nothing was changed",
        "correct what the line names; starting again without that changes nothing",
    ),
    ExitCode(INTERRUPTED, "interrupted", "Ctrl-C (SIGINT)", "run the same command to go on"),
    ExitCode(TERMINATED, "terminated", "SIGTERM", "run the same command to go on"),
)
"""Every exit code there is. A killed process has none; a shell then says 137, and the run goes on."""

EXTRAS: Final = {
    **dict.fromkeys(("jinja2", "opacus", "polars", "torch"), "node"),
    "psycopg": "postgres",
}
"""Packages that not everybody needs, and the extra that brings each."""

TRACEBACK_VARIABLE: Final = "FECOSR_TRACEBACK"
"""Set to 1 to see where an error came from."""


def end_with(body: Callable[[], int]) -> NoReturn:
    """Run `body` and end the process with the exit code that fits how it ended.

    Every error of ours becomes one line without a traceback: it was written for the person who reads it.
    """
    sys.exit(exit_code_of(body))


def exit_code_of(body: Callable[[], int]) -> int:
    """Return the exit code of `body`, having reported an error of ours on standard error."""
    try:
        return body()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS or os.environ.get(TRACEBACK_VARIABLE) == "1":
            raise
        sys.stderr.write(
            f"error: {error.name} is not installed (pip install 'fecosr[{EXTRAS[error.name]}]')\n"
        )
        return UNUSABLE
    except FecosrError as error:
        if os.environ.get(TRACEBACK_VARIABLE) == "1":
            raise
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return UNUSABLE if isinstance(error, ConfigError) else FAILED


def end_on_signals(log: "structlog.typing.FilteringBoundLogger", event: str) -> None:
    """Let SIGTERM and Ctrl-C end this process at once with their exit codes, whatever its threads are doing.

    For a process that can neither interrupt its work nor wait for it: nothing is closed, flushed or joined.
    So it must bear to lose power at any moment, which is what everything in `fecosr.storage` promises.

    Args:
        log: where the end is announced.
        event: under which name.
    """
    # Python calls handlers between two instructions of the main thread, so one that is inside a long call, or
    # just about to wait, would not hear. The number of a signal is in this pipe when the signal is.
    arrived, arriving = os.pipe()
    os.set_blocking(arriving, False)

    def end() -> None:
        while (number := os.read(arrived, 1)[0]) not in _BY_SIGNAL:
            pass
        try:
            log.info(event, exit_code=_BY_SIGNAL[number])
        finally:
            os._exit(_BY_SIGNAL[number])

    threading.Thread(target=end, name="signals", daemon=True).start()
    signal.set_wakeup_fd(arriving, warn_on_full_buffer=False)
    for number in _BY_SIGNAL:
        signal.signal(number, lambda *_: None)
