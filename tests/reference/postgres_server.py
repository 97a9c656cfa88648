"""A PostgreSQL server of our own, in a folder that goes when it goes, on a socket nobody else can reach."""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ROLE: Final = "operator"
PASSWORD: Final = "correct horse"
_PR_SET_PDEATHSIG: Final = 1
_SETTINGS: Final = {"listen_addresses": "", "max_connections": "30", "shared_buffers": "16MB"}


def installed_server() -> Path | None:
    """Return the folder with `initdb` and `postgres`, if this machine has them."""
    places = [Path(found).parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next(
        (place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None
    )


def _end_with_us() -> None:
    """Let the server end at once when the tests are killed, for then nobody else ends it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


class PostgresServer:
    """Run a server until the block is left; only who knows `PASSWORD` may enter.

    Args:
        programs: the folder of `initdb` and `postgres`.
    """

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        # In memory, where there is such a folder: what is tested is not this machine's disk.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=memory))
        # The server refuses to be root.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
        word = self.folder / "word"
        word.write_text(PASSWORD)
        word.chmod(0o644)
        self._run("initdb", "--auth=scram-sha-256", f"--username={ROLE}", f"--pwfile={word}", "--no-sync",
                  "--encoding=UTF8", "--locale=C", "--pgdata", str(self._data))  # fmt: skip
        self._process = self._started()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        """Return where a database is, without the password."""
        return f"postgresql://{ROLE}@/{database}?host={self.folder}"

    def restart(self) -> None:
        """Kill the server as a power cut would, and start it again."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.communicate()
        self._process = self._started()

    def stop(self) -> None:
        """End the server; whoever is connected is hung up on."""
        self._process.send_signal(signal.SIGINT)
        self._process.communicate()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, user=self._user, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def _started(self) -> "subprocess.Popen[str]":
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-k", str(self.folder), *settings]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            user=self._user,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_end_with_us,  # noqa: PLW1509 - no thread of the tests holds a lock that it needs
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "ready to accept connections" in line:
                return process
        raise AssertionError("the server did not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
