"""The market node as a process, stopped while it does what nothing can interrupt."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fecosr.config.plan import Plan, load_plan
from fecosr.crypto.signatures import SigningKey
from fecosr.federation.cohort import Roster
from fecosr.ids import NodeId, RunId
from fecosr.training.parameters import initial_shared_vector
from market_node.main import app
from market_node.state import NodeState

ROOT = Path(__file__).parents[2]
COORDINATOR, ISLE = SigningKey(bytes(32)), SigningKey(bytes([1]) * 32)

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
[encoder]
dimension = 8
num_blocks = 1
num_heads = 1
feed_forward_dimension = 8
projector_dimension = 8
[fine_tuning]
max_epochs = 10000
patience = 10000
"""

NODE = """market = "isle"
coordinator = "localhost:1"
[data]
kind = "synthetic"
market = "isle"
min_core = 1
[data.synthetic]
num_users = 40
num_items = 64
num_categories = 4
num_topics = 2
[policy]
n_min = 3
max_colluding = 1
max_rounds = 10
max_clip_norm = 10.0
[report]
popularity = false
local = false
"""


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """Return the kit of a node whose federation is over: what is left is endless fine-tuning."""
    (tmp_path / "plan.toml").write_text(PLAN)
    (tmp_path / "node.toml").write_text(NODE)
    nodes = f'isle = "{ISLE.public.hex()}"\nother = "{"b" * 64}"\nthird = "{"c" * 64}"\n'
    (tmp_path / "roster.toml").write_text(f'coordinator = "{COORDINATOR.public.hex()}"\n[nodes]\n{nodes}')
    (tmp_path / "identity.key").write_bytes(bytes([1]) * 32)
    (tmp_path / "identity.key").chmod(0o600)
    plan: Plan = load_plan(tmp_path / "plan.toml")
    roster = Roster(COORDINATOR.public, {NodeId("isle"): ISLE.public})
    with NodeState(tmp_path / "state", RunId("spring"), roster, NodeId("isle")) as state:
        state.keep_final_model(initial_shared_vector(plan.encoder, plan.semantics, seed=1))
    return tmp_path


def test_sigterm_ends_a_node_in_the_middle_of_fine_tuning(kit: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "market_node", "--config", str(kit / "node.toml")],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    while json.loads(process.stderr.readline())["event"] != "fine_tuning_progress":
        pass
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    last = json.loads(said.splitlines()[-1])
    assert (last["event"], last["exit_code"], last["market"]) == ("node_stopped", 143, "isle")
    assert not (kit / "state" / "report.json").exists()


def test_a_coordinator_option_that_is_no_address_is_one_line(
    kit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app(["--config", str(kit / "node.toml"), "--coordinator", "nonsense"], standalone_mode=False) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --coordinator: 'nonsense' is not HOST:PORT")
    assert said.count("\n") == 1
