"""Start, watch and kill real processes without sleeping: their output and their end are awaited together."""

import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import fecosr
from fecosr.errors import MisuseError
from fecosr.harness.events import Exited, Happening, Logged, Started, parse_line
from fecosr.harness.warm_starts import Child, Spawn, spawn_cold
from fecosr.rpc.failpoints import VARIABLE as REHEARSAL_VARIABLE

_HALT_SECONDS: Final = 0.001
_CHUNK_BYTES: Final = 1 << 16
_HALTED: Final = frozenset("TZX")
"""States of a process that does not run: stopped, ended, gone."""
_USER_TIME: Final = 11
"""Place of utime in /proc/PID/stat, counted from the state; both times are in clock ticks."""
_SYSTEM_TIME: Final = 12


@dataclass(slots=True)
class _Running:
    """Hold one live process, what it has said of an unfinished line, and its log file."""

    name: str
    process: Child
    pidfd: int
    log: BinaryIO
    rest: bytes = b""
    silent: bool = False


class Processes:
    """Run named processes, each in a process group of its own; leaving the block kills whatever is left.

    Attributes:
        log_folder: each process's standard output and error are appended to `<name>.jsonl` in it.

    Args:
        log_folder: see above.
        spawn: starts a command in a session of its own.
    """

    def __init__(self, log_folder: Path, spawn: Spawn = spawn_cold) -> None:
        self.log_folder = log_folder
        self._spawn = spawn
        self._selector = selectors.DefaultSelector()
        self._running: dict[str, _Running] = {}
        self._starts: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.log_folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for name in list(self._running):
            self.kill(name)
        self._selector.close()

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Started:
        """Start `command` as `name` in our environment (without any rehearsal of ours) and `environment`."""
        if name in self._running:
            raise MisuseError(f"{name} is running already")
        log = (self.log_folder / f"{name}.jsonl").open("ab")
        process = self._spawn(command, _environment(environment or {}))
        running = _Running(name, process, os.pidfd_open(process.pid), log)
        os.set_blocking(_output(running).fileno(), False)
        self._selector.register(_output(running), selectors.EVENT_READ, running)
        self._selector.register(running.pidfd, selectors.EVENT_READ, running)
        self._running[name] = running
        self._starts[name] = self._starts.get(name, 0) + 1
        return Started(name, self._starts[name])

    def running(self) -> frozenset[str]:
        """Return the names of the processes that have not ended."""
        return frozenset(self._running)

    def peak_bytes(self, name: str) -> int:
        """Return the most memory that `name` has had resident at a time so far, mapped files included."""
        return self._memory_bytes(name, "VmHWM:")

    def resident_bytes(self, name: str) -> int:
        """Return the memory of its own that `name` has resident now; 0 when it is just ending."""
        return self._memory_bytes(name, "RssAnon:")

    def processor_seconds(self, name: str) -> float:
        """Return the user and system time that `name` has taken so far, all its threads together."""
        try:
            stat = Path(f"/proc/{self._running[name].process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            # Somebody else's child is gone as soon as that one has taken notice.
            return 0.0
        fields = stat.rpartition(")")[2].split()
        return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / os.sysconf("SC_CLK_TCK")

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to `name`, if it is still there, and to nothing that it started."""
        running = self._running.get(name)
        if running is not None:
            # It may have ended by itself a moment ago.
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(running.pidfd, number)

    def await_stop(self, name: str) -> None:
        """Wait until `name`, which said that it is about to, has stopped itself; or has ended instead."""
        running = self._running.get(name)
        while running is not None and _state(running.process.pid) not in _HALTED:
            # It is a few instructions away, and nothing tells us when somebody else's child stops.
            time.sleep(_HALT_SECONDS)

    def limit_files(self, name: str, size_bytes: int | None) -> None:
        """Let no write of `name` reach beyond `size_bytes` in any file from now on; None: as before."""
        running = self._running.get(name)
        if running is not None:
            pid = running.process.pid
            # Only the soft limit is lowered, because the hard one could not be raised again.
            with suppress(ProcessLookupError):
                _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                limit = most if size_bytes is None else size_bytes
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, most))

    def wait(self, seconds: float) -> list[Happening]:
        """Return what happened, as soon as anything does; nothing after `seconds`, or when half a line came.

        Guarantees: everything a process said comes before its end.
        """
        ready = {id(key.data): key.data for key, _ in self._selector.select(max(0.0, seconds))}
        happenings: list[Happening] = []
        for running in ready.values():
            ended = running.process.poll() is not None
            happenings.extend(self._read(running))
            if ended:
                happenings.append(self._finish(running))
        return happenings

    def kill(self, name: str) -> Exited:
        """End `name` and everything it started, at once and without asking."""
        running = self._running[name]
        # It may have ended by itself a moment ago.
        with suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()
        self._read(running)
        return self._finish(running)

    def _memory_bytes(self, name: str, label: str) -> int:
        try:
            status = Path(f"/proc/{self._running[name].process.pid}/status").read_text(encoding="ascii")
        except OSError:
            # Somebody else's child is gone as soon as that one has taken notice.
            return 0
        found = [line.split()[1] for line in status.splitlines() if line.startswith(label)]
        # A process that has ended, but whose end was not taken notice of, has no memory.
        return int(found[0]) * 1024 if found else 0

    def _read(self, running: _Running) -> list[Logged]:
        pieces = [running.rest]
        while piece := _read_available(_output(running)):
            running.log.write(piece)
            pieces.append(piece)
        if piece is not None:
            self._silence(running)
        running.log.flush()
        # What a killed process left of a line is its last word; there will be no end of it.
        *lines, running.rest = b"".join([*pieces, b"\n" if running.silent else b""]).split(b"\n")
        events = (parse_line(running.name, line) for line in lines)
        return [event for event in events if event is not None]

    def _silence(self, running: _Running) -> None:
        """Stop waiting for output at its end, which would otherwise count as something new for ever."""
        if not running.silent:
            self._selector.unregister(_output(running))
            running.silent = True

    def _finish(self, running: _Running) -> Exited:
        self._silence(running)
        self._selector.unregister(running.pidfd)
        os.close(running.pidfd)
        _output(running).close()
        running.log.close()
        del self._running[running.name]
        return Exited(running.name, running.process.wait())


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs `module` with this interpreter, never from the working folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != REHEARSAL_VARIABLE}
    # The processes run the FeCoSR that started them, also from a source tree that is not installed.
    source = str(Path(fecosr.__file__).parent.parent)
    paths = [source, *filter(None, [inherited.get("PYTHONPATH")])]
    return {**inherited, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", **extra}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _output(running: _Running) -> BinaryIO:
    output = running.process.stdout
    if output is None:
        raise MisuseError("the process was started without a pipe")
    return output


def _read_available(output: BinaryIO) -> bytes | None:
    """Return what can be read at once: b"" at the end of the output, None when there is nothing yet."""
    try:
        return os.read(output.fileno(), _CHUNK_BYTES)
    except BlockingIOError:
        return None
