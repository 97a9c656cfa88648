"""The binaries as processes, in front of kits they cannot use."""

import json
import os
import shutil
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from fecosr.crypto.signatures import SigningKey
from fecosr.storage.parameters import write_parameters
from tests.reference.loopback import NOW, Kits

ROOT = Path(__file__).parents[2]

PLAN = """[run]
name = "spring"
rounds = 3
seed = 1
[cohort]
n_min = 3
max_colluding = 1
[privacy]
mode = "none"
[aggregation]
clip_norm = 10.0
"""


def run(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    (tmp_path / "coordinator.toml").write_text('listen = "127.0.0.1:0"\n')
    (tmp_path / "plan.toml").write_text(PLAN)
    nodes = "".join(f'{name} = "{digit * 64}"\n' for name, digit in (("de", "b"), ("fr", "c"), ("uk", "d")))
    (tmp_path / "roster.toml").write_text(f'coordinator = "{"a" * 64}"\n[nodes]\n{nodes}')
    (tmp_path / "identity.key").write_bytes(bytes(32))
    (tmp_path / "identity.key").chmod(0o600)
    return tmp_path


def ended_unusable(kit: Path) -> str:
    ended = run("coordinator", "--config", str(kit / "coordinator.toml"))
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1, "one line, no traceback"
    return ended.stderr


def refused(kit: Path) -> str:
    message = ended_unusable(kit)
    assert not (kit / "state").exists(), "nothing half-written"
    return message


def test_a_typing_error_in_the_configuration_is_one_line_with_its_place(kit: Path) -> None:
    (kit / "coordinator.toml").write_text('listen = "127.0.0.1:0"\nlisten_on = "everything"\n')
    assert "coordinator.toml:2: listen_on: unknown key" in refused(kit)


def test_a_missing_plan_is_one_line(kit: Path) -> None:
    (kit / "plan.toml").unlink()
    assert "plan.toml: cannot be read" in refused(kit)


def test_an_identity_that_is_not_in_the_roster_is_refused(kit: Path) -> None:
    message = refused(kit)
    assert "this identity is not the coordinator's in the roster" in message
    assert "00" * 32 not in message


@pytest.fixture
def usable_kit(kit: Path) -> Path:
    """Return a kit with everything a coordinator needs."""
    (kit / "roster.toml").write_text(
        (kit / "roster.toml").read_text().replace("a" * 64, SigningKey(bytes(32)).public.hex())
    )
    write_parameters(kit / "initial_model.safetensors", np.zeros(3, dtype=np.float32), {})
    files = Kits(kit).coordinator()
    (kit / "tls").mkdir()
    for source, name in (
        (files.authority, "ca.pem"),
        (files.certificate, "certificate.pem"),
        (files.key, "key.pem"),
    ):
        shutil.copy(source, kit / "tls" / name)
    return kit


def test_a_taken_port_changes_nothing(usable_kit: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (usable_kit / "coordinator.toml").write_text(f'listen = "127.0.0.1:{port}"\n')
        assert f"cannot listen on 127.0.0.1:{port}" in refused(usable_kit)


def test_an_unusable_certificate_changes_nothing(usable_kit: Path) -> None:
    (usable_kit / "tls" / "ca.pem").write_bytes(b"")
    assert "ca.pem: is not a PEM file" in refused(usable_kit)


def test_a_file_in_place_of_the_storage_folder_is_one_line(usable_kit: Path) -> None:
    (usable_kit / "coordinator.toml").write_text('listen = "127.0.0.1:0"\nstorage = "roster.toml/state"\n')
    assert "roster.toml/state: cannot be used as a folder: Not a directory" in refused(usable_kit)


def test_a_kit_without_an_initial_model_is_unusable(usable_kit: Path) -> None:
    (usable_kit / "initial_model.safetensors").unlink()
    message = ended_unusable(usable_kit)
    assert "initial_model.safetensors: cannot be read" in message
    assert (usable_kit / "state" / "ledger.jsonl").read_bytes() == b""


def test_a_listen_option_that_is_no_address_is_one_line(usable_kit: Path) -> None:
    ended = run("coordinator", "--config", str(usable_kit / "coordinator.toml"), "--listen", "nonsense")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: --listen: 'nonsense' is not HOST:PORT")
    assert ended.stderr.count("\n") == 1


def test_a_missing_file_is_refused_by_the_node_too(tmp_path: Path) -> None:
    ended = run("market_node", "--config", str(tmp_path / "node.toml"))
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("module", ["coordinator", "market_node"])
def test_help_shows_an_example_and_the_exit_codes(module: str) -> None:
    ended = run(module, "--help")
    assert ended.returncode == 0
    words = " ".join(ended.stdout.replace("│", " ").split())
    assert "Examples: " in words
    assert "Exit codes: 0 " in words


def test_the_coordinator_starts_without_torch_and_polars(kit: Path) -> None:
    shutil.rmtree(kit)
    blocked = "import sys; sys.modules['torch'] = sys.modules['polars'] = None; import coordinator.main"
    ended = subprocess.run([sys.executable, "-c", blocked], cwd=ROOT, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_certificate_that_expires_soon_is_announced_at_the_start(usable_kit: Path) -> None:
    files = Kits(usable_kit, "late").coordinator(now=NOW - timedelta(days=25))
    for source, name in (
        (files.authority, "ca.pem"),
        (files.certificate, "certificate.pem"),
        (files.key, "key.pem"),
    ):
        shutil.copy(source, usable_kit / "tls" / name)
    with subprocess.Popen(
        [sys.executable, "-m", "coordinator", "--config", str(usable_kit / "coordinator.toml")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said: list[dict[str, object]] = []
        while not said or said[-1]["event"] != "coordinator_ready":
            said.append(json.loads(process.stderr.readline()))
        process.kill()
    (announced,) = [line for line in said if line["event"] == "certificate_expires_soon"]
    assert (announced["days_left"], announced["file"]) == (4, str(usable_kit / "tls" / "certificate.pem"))
