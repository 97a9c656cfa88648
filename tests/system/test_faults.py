"""The same run with the kill at every other place there is: of a node, and of the coordinator itself."""

import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.provisioning.toml_text import toml_text

Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = [pytest.mark.system, pytest.mark.slow]

SCENARIO = Path(__file__).with_name("lost_node.toml")
PHASES = ("advertise_keys", "share_keys", "masked_input", "consistency", "unmask")


@pytest.mark.parametrize(
    ("target", "phase"),
    [
        *(("beta", phase) for phase in ("training", *PHASES) if phase != "masked_input"),
        *(("coordinator", phase) for phase in PHASES),
    ],
)
def test_a_process_may_die_anywhere(fecosr: Run, tmp_path: Path, target: str, phase: str) -> None:
    text = SCENARIO.read_text()
    fault = tomllib.loads(text)["faults"][0]
    rest, _, _ = text.partition("[[faults]]")
    scenario = tmp_path / "scenario.toml"
    changed = "[[faults]]\n" + toml_text({**fault, "target": target, "phase": phase})
    scenario.write_text(rest + changed + "[expect]\nmax_seconds = 240\n")

    command = fecosr("harness", "run", str(scenario), "--out", str(tmp_path / "run"))

    assert command.returncode == 0, command.stdout + command.stderr
    assert f"{target} dies of SIGKILL at {phase} of round 2: it did" in " ".join(command.stdout.split())
