"""How every FeCoSR process ends: one line on standard error and an exit code that means something.

0    done: what was asked for happened
1    failed: it was tried and did not hold, or another party made it impossible
2    unusable input: a file, option or data set; nothing was changed
130  interrupted by Ctrl-C (SIGINT)
143  stopped by SIGTERM; the same command goes on with what was under way
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, NoReturn

import structlog

from fecosr.errors import ConfigError, FecosrError

DONE: Final = 0
FAILED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130
TERMINATED: Final = 143
_BY_SIGNAL: Final = {int(signal.SIGINT): INTERRUPTED, int(signal.SIGTERM): TERMINATED}

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
    except FecosrError as error:
        if os.environ.get(TRACEBACK_VARIABLE) == "1":
            raise
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return UNUSABLE if isinstance(error, ConfigError) else FAILED


def end_on_signals(log: structlog.typing.FilteringBoundLogger, event: str) -> None:
    """Let SIGTERM and Ctrl-C end this process at once with their exit codes, whatever its threads are doing.

    For a process that can neither interrupt its work nor wait for it: nothing is closed, flushed or joined.
    So it must bear to lose power at any moment, which is what everything in `fecosr.storage` promises.

    Args:
        log: where the end is announced.
        event: under which name.
    """
    # A handler runs in the middle of whatever the main thread does, perhaps while it writes to this very log;
    # putting into a SimpleQueue is safe even there.
    arrived: SimpleQueue[int] = SimpleQueue()

    def end() -> None:
        number = arrived.get()
        try:
            log.info(event, exit_code=_BY_SIGNAL[number])
        finally:
            os._exit(_BY_SIGNAL[number])

    threading.Thread(target=end, name="signals", daemon=True).start()
    for number in _BY_SIGNAL:
        signal.signal(number, lambda number, _: arrived.put(number))
