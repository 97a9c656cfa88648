"""Start market nodes from a process that has imported what they import: a rehearsal need not wait for torch.

`python -m fecosr.harness.warm_starts FD` is that process. It does nothing but import, and fork once for each
order on its socket. A forked node runs the module `market_node` under the arguments and environment it would
be started with, in a session of its own, and can be stopped, limited and killed like any other process.
"""

import gc
import json
import os
import runpy
import selectors
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import BinaryIO, Final, Protocol, Self

from fecosr.errors import StorageError

MODULE: Final = "market_node"
_MESSAGE_BYTES: Final = 1 << 16
_WARM_COMMAND: Final = ["-P", "-m", MODULE]


class Child(Protocol):
    """Be a process that was started; `subprocess.Popen` is one."""

    pid: int
    returncode: int | None

    @property
    def stdout(self) -> BinaryIO | None:
        """Return where its standard output and error can be read."""

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""

    def wait(self) -> int:
        """Return how it ended, once it has."""


Spawn = Callable[[Sequence[str], Mapping[str, str]], Child]


def spawn_cold(command: Sequence[str], environment: Mapping[str, str]) -> Child:
    """Start `command` as an operator would, in a session of its own."""
    return subprocess.Popen(  # type: ignore[return-value]  # noqa: S603 - ours, no shell; pipes are IO[bytes]
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


class _Forked:
    """Be a process that another one has forked for us, and reports on."""

    def __init__(self, pid: int, stdout: BinaryIO, wait: Callable[[int], int]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._wait = wait
        self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._pidfd, selectors.EVENT_READ)
                if selector.select(0):
                    return self.wait()
        return self.returncode

    def wait(self) -> int:
        """Return how it ended, once it has."""
        if self.returncode is None:
            self.returncode = self._wait(self.pid)
            os.close(self._pidfd)
        return self.returncode


class WarmStarts:
    """Own the process that forks; it is started with the first node, and ends with the block."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.wait()

    def spawn(self, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a market node warm, and every other command as `spawn_cold` does."""
        if list(command[1:4]) != _WARM_COMMAND:
            return spawn_cold(command, environment)
        order = json.dumps({"arguments": command[4:], "environment": dict(environment)}).encode()
        reading, writing = os.pipe()
        try:
            socket.send_fds(self._open(), [order], [writing])
        finally:
            os.close(writing)
        pid = self._next("pid")
        return _Forked(pid, os.fdopen(reading, "rb"), self._wait)

    def _open(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
                self._process = subprocess.Popen(  # noqa: S603 - the command is ours, no shell is involved
                    command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
                )
            self._socket = ours
        return self._socket

    def _wait(self, pid: int) -> int:
        while pid not in self._ended:
            self._hear()
        return self._ended.pop(pid)

    def _next(self, key: str) -> int:
        while (found := self._hear().get(key)) is None:
            pass
        return found

    def _hear(self) -> dict[str, int]:
        message = self._open().recv(_MESSAGE_BYTES)
        if not message:
            raise StorageError("the process that starts market nodes has ended; its last words are above")
        heard: dict[str, int] = json.loads(message)
        if "ended" in heard:
            self._ended[heard["ended"]] = heard["returncode"]
        return heard


def _serve(orders: socket.socket) -> None:
    """Fork for each order and report each end, until nobody is there to order; return in the forked ones."""
    import_module(f"{MODULE}.main")
    import_module(f"{MODULE}.report")
    # What was imported is never garbage; so the forked ones need not copy it to find that out.
    gc.collect()
    gc.freeze()
    selector = selectors.DefaultSelector()
    selector.register(orders, selectors.EVENT_READ, 0)
    while True:
        for key, _ in selector.select():
            if key.data:
                selector.unregister(key.fd)
                os.close(key.fd)
                _, status = os.waitpid(key.data, 0)
                code = os.waitstatus_to_exitcode(status)
                orders.send(json.dumps({"ended": key.data, "returncode": code}).encode())
                continue
            message, descriptors, _, _ = socket.recv_fds(orders, _MESSAGE_BYTES, 1)
            if not message:
                sys.exit()
            pid = os.fork()
            if not pid:
                selector.close()
                orders.close()
                _become(json.loads(message), descriptors[0])
                return
            os.close(descriptors[0])
            orders.send(json.dumps({"pid": pid}).encode())
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)


def _become(order: dict[str, object], output: int) -> None:
    os.setsid()
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    os.close(output)
    environment = order["environment"]
    os.environ.clear()
    os.environ.update(environment if isinstance(environment, dict) else {})
    arguments = order["arguments"]
    sys.argv[1:] = arguments if isinstance(arguments, list) else []


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
