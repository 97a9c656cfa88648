"""A private run of real processes, one of them killed between its charge and the release."""

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.ledger.log import decode_entry
from fecosr.ledger.records import SurvivorsFixed
from fecosr.provisioning.toml_text import toml_text
from fecosr.storage.spending_store import SPENDING_FILE, read_spending

Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = [pytest.mark.system, pytest.mark.slow]

SCENARIO = Path(__file__).with_name("lost_node.toml")
DISTRIBUTED = {
    "mode": "distributed",
    "privacy_unit": "user",
    "neighboring_relation": "add_or_remove_one",
    "holds_against": "coordinator_and_max_colluding_nodes",
    "epsilon": 8.0,
    "delta": 1e-4,
    "clip_norm": 1.0,
    "noise_multiplier": 2.5,
    "sampling_probability": 0.5,
    "expected_users": 100.0,
}
LOCAL = {
    **DISTRIBUTED,
    "mode": "local",
    "holds_against": "everybody_outside_the_market",
    "expected_users": 25.0,
    "steps": 4,
}
UPDATE_BOUND = "clip_norm = 5.0\n"


@pytest.mark.parametrize(
    ("privacy", "bound"), [(DISTRIBUTED, ""), (LOCAL, UPDATE_BOUND)], ids=["distributed", "local"]
)
@pytest.mark.parametrize("phase", ["training", "masked_input", "consistency"])
def test_a_kill_between_charge_and_release_forgets_no_spending(
    fecosr: Run, tmp_path: Path, phase: str, privacy: dict[str, object], bound: str
) -> None:
    text = SCENARIO.read_text()
    fault = tomllib.loads(text)["faults"][0]
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(
        text.replace('mode = "none"\n', toml_text(privacy))
        .replace(f"{UPDATE_BOUND}reference_num_users = 60\n", bound)
        .replace('phase = "masked_input"', f'phase = "{phase}"')
    )
    out = tmp_path / "run"

    command = fecosr("harness", "run", str(scenario), "--out", str(out))

    assert command.returncode == 0, command.stdout + command.stderr
    lines = (out / "coordinator" / "ledger.jsonl").read_bytes().splitlines()
    bodies = [decode_entry(line, number).body for number, line in enumerate(lines)]
    for folder in (path.parent for path in out.glob(f"*/{SPENDING_FILE}")):
        account = read_spending(folder, (folder / SPENDING_FILE).read_bytes().splitlines())
        summed = {
            f"round {body.round} attempt {body.attempt}"
            for body in bodies
            if isinstance(body, SurvivorsFixed) and folder.name in body.survivors
        }
        assert summed <= account.charges.keys()
        if folder.name == fault["target"]:
            assert f"round {fault['round']} attempt 1" in account.charges
    audited = fecosr("audit", str(out), "--json")
    assert audited.returncode == 0, audited.stdout
    for entry in json.loads(audited.stdout)["privacy"]:
        assert entry["mode"] == privacy["mode"]
        assert 0 < entry["epsilon"] <= 8.0
