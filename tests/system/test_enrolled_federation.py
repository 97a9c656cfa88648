"""A federation whose parties made their keys themselves, as real processes; one is revoked while it runs."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fecosr.storage.inspection import inspect_coordinator

Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = [pytest.mark.system, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
MARKETS = ("de", "fr", "uk")
SECONDS = 240
FOUNDING = """\
[coordinator]
address = "localhost:{port}"
[plan]
run = {{ name = "enrolled", rounds = 4, seed = 3 }}
cohort = {{ n_min = 2, max_colluding = 0 }}
privacy = {{ mode = "none" }}
aggregation = {{ clip_norm = 5.0, reference_num_users = 60 }}
deadlines = {{ join_seconds = 5.0, training_seconds = 60.0, phase_seconds = 20.0, finish_seconds = 10.0 }}
semantics = {{ dimension = 32 }}
fine_tuning = {{ max_epochs = 2 }}
[plan.encoder]
dimension = 16
num_blocks = 1
num_heads = 1
feed_forward_dimension = 16
projector_dimension = 16
max_length = 16
"""


def orders(place: int) -> str:
    """Return the interactions of one market: everybody walks through the catalogue at a pace of their own."""
    lines = [
        f"u{user},i{(user * 7 + step * (place + 2)) % 31},{1000 + step}"
        for user in range(60)
        for step in range(9)
    ]
    return "\n".join(["user,item,timestamp", *lines]) + "\n"


@pytest.fixture
def folder(fecosr: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the authority and the kits of all parties, made step by step."""
    monkeypatch.chdir(tmp_path)

    def step(*arguments: str) -> list[str]:
        ended = fecosr("provision", *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()

    def after(label: str, lines: list[str]) -> str:
        return next(line.removeprefix(label) for line in lines if line.startswith(label))

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    Path("founding.toml").write_text(FOUNDING.format(port=port))
    authority = after("CA fingerprint: ", step("authority", "founding.toml", "--out", "ca"))
    for party in ("coordinator", *MARKETS):
        asked = step("request", party, "--ca-fingerprint", authority, "--out", party)
        confirmed = after("request fingerprint: ", asked)
        request = f"{party}/pending/request.json"
        step("approve", request, "--authority", "ca", "--fingerprint", confirmed)
    for place, party in enumerate(("coordinator", *MARKETS)):
        step("package", party, "--authority", "ca", "--out", f"{party}.fecosr-kit")
        Path(f"{party}.csv").write_text(orders(place))
        step("accept", party, f"{party}.fecosr-kit", "--data-path", str(tmp_path / f"{party}.csv"))
    for market in MARKETS:
        config = Path(market, "node.toml")
        config.write_text(config.read_text().replace("local = true", "local = false"))
    return tmp_path


def start(stack: ExitStack, module: str, config: Path) -> "subprocess.Popen[str]":
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-P", "-m", module, "--config", str(config)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
    )
    stack.callback(process.kill)
    return process


def events(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stderr is not None
    for line in process.stderr:
        yield json.loads(line)["event"]


def test_kits_with_keys_made_at_home_carry_a_run_and_a_revoked_market_is_out_of_it(
    fecosr: Run, folder: Path
) -> None:
    for party in ("coordinator", *MARKETS):
        checked = fecosr("preflight", party)
        assert checked.returncode == 0, checked.stdout
    with ExitStack() as stack:
        coordinator = start(stack, "coordinator", folder / "coordinator" / "coordinator.toml")
        heard = events(coordinator)
        assert "coordinator_ready" in heard
        nodes = {name: start(stack, "market_node", folder / name / "node.toml") for name in MARKETS}
        assert "round_released" in heard
        assert fecosr("provision", "revoke", "de", "--authority", "ca").returncode == 0
        shutil.copy("ca/revoked.pem", "coordinator/tls/revoked.pem.new")
        Path("coordinator/tls/revoked.pem.new").replace("coordinator/tls/revoked.pem")
        rest = list(heard)
        said = {name: node.communicate(timeout=SECONDS)[1] for name, node in nodes.items()}
        assert coordinator.wait(SECONDS) == 0
    assert "revocation_list_taken" in rest
    assert {name: node.returncode for name, node in nodes.items()} == {"de": 2, "fr": 0, "uk": 0}
    assert "this certificate is revoked" in said["de"].splitlines()[-1]
    status = inspect_coordinator(folder / "coordinator" / "state")
    assert status is not None
    assert status.released is not None
    assert (status.state, status.released.round, status.released.survivors) == ("completed", 4, ("fr", "uk"))
