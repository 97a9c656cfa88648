import json
import re
import signal
import subprocess
import sys
import tomllib

import pytest

from fecosr.config.exits import (
    CATALOGUE,
    DONE,
    EXTRAS,
    FAILED,
    INTERRUPTED,
    TERMINATED,
    UNUSABLE,
    end_with,
    exit_code_of,
)
from fecosr.errors import ConfigError, DataError, StorageError


def raising(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("bad"), UNUSABLE),
        (DataError("bad"), UNUSABLE),
        (StorageError("bad"), FAILED),
    ],
)
def test_an_error_of_ours_is_one_line_and_a_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(lambda: raising(error)) == code
    assert capsys.readouterr().err == "error: bad\n"


def test_ctrl_c_has_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(lambda: raising(KeyboardInterrupt())) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_a_bug_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code_of(lambda: raising(ZeroDivisionError()))


def test_a_traceback_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FECOSR_TRACEBACK", "1")
    with pytest.raises(ConfigError):
        exit_code_of(lambda: raising(ConfigError("bad")))


@pytest.mark.parametrize(("library", "extra"), [("torch", "node"), ("psycopg", "postgres")])
def test_an_installation_without_an_extra_is_one_line(
    capsys: pytest.CaptureFixture[str], library: str, extra: str
) -> None:
    missing = ModuleNotFoundError(f"No module named '{library}'", name=library)
    assert exit_code_of(lambda: raising(missing)) == UNUSABLE
    assert capsys.readouterr().err == f"error: {library} is not installed (pip install 'fecosr[{extra}]')\n"
    with pytest.raises(ModuleNotFoundError):
        exit_code_of(lambda: raising(ModuleNotFoundError("No module named 'fecosr.x'", name="fecosr.x")))


def test_the_extra_is_what_the_package_says(request: pytest.FixtureRequest) -> None:
    project = tomllib.loads((request.config.rootpath / "pyproject.toml").read_text())["project"]
    extra = {re.split("[>=<]", requirement)[0] for requirement in project["optional-dependencies"]["node"]}
    base = {re.split("[>=<]", requirement)[0] for requirement in project["dependencies"]}
    assert extra == {name for name, brought_by in EXTRAS.items() if brought_by == "node"}
    assert not EXTRAS.keys() & base


def test_every_exit_code_is_in_the_catalogue_and_in_the_readme(request: pytest.FixtureRequest) -> None:
    assert [entry.code for entry in CATALOGUE] == [DONE, FAILED, UNUSABLE, INTERRUPTED, TERMINATED]
    readme = (request.config.rootpath / "README.md").read_text()
    for entry in CATALOGUE:
        assert f"| {entry.code} | {entry.name} | {entry.meaning} | {entry.remedy} |" in readme


def test_the_process_ends_with_the_code() -> None:
    with pytest.raises(SystemExit) as caught:
        end_with(lambda: DONE)
    assert caught.value.code == DONE


BUSY = """
import asyncio, hashlib, sys, threading
from fecosr.config.exits import end_on_signals
from fecosr.config.logs import configure_logs

def work():
    print("busy", flush=True)
    threading.Event().wait()

end_on_signals(configure_logs(run="spring"), "stopped")
if sys.argv[1] == "on a thread":
    asyncio.run(asyncio.to_thread(work))
elif sys.argv[1] == "in a call that hears nothing":
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
else:
    work()
"""


@pytest.mark.parametrize("where", ["on a thread", "in the main thread", "in a call that hears nothing"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, TERMINATED), (signal.SIGINT, INTERRUPTED)])
def test_a_signal_ends_work_that_cannot_be_interrupted(where: str, number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    line = json.loads(said)
    assert (line["event"], line["exit_code"], line["run"]) == ("stopped", code, "spring")
