"""How every FeCoSR process ends: one line on standard error and an exit code that means something.

0    done: what was asked for happened
1    failed: it was tried and did not hold, or another party made it impossible
2    unusable input: a file, option or data set; nothing was changed
130  interrupted by Ctrl-C (SIGINT)
143  stopped by SIGTERM; the same command goes on with what was under way
"""

import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

from fecosr.errors import ConfigError, FecosrError

DONE: Final = 0
FAILED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130
TERMINATED: Final = 143

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
