"""The units, as systemd itself reads them where it is installed."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fecosr.config.exits import TERMINATED, UNUSABLE

UNITS = Path(__file__).parents[2] / "scripts" / "deploy" / "systemd"
NAMES = ["fecosr-coordinator.service", "fecosr-market-node@.service"]
ANALYZE = shutil.which("systemd-analyze")
MOST_EXPOSURE = 25
"""In tenths; a service without any hardening has 96."""


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign] # systemd's keys have capitals
    parser.read(UNITS / name)
    return parser


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_process_comes_back_and_an_unusable_kit_waits_for_a_person(name: str) -> None:
    service = unit(name)["Service"]
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == str(UNUSABLE)
    assert service["SuccessExitStatus"] == str(TERMINATED)
    assert unit(name)["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["User"] == "fecosr"


def test_the_units_start_the_binaries_with_their_kits() -> None:
    assert unit(NAMES[0])["Service"]["ExecStart"] == (
        "/opt/fecosr/bin/fecosr-coordinator --config /etc/fecosr/coordinator/coordinator.toml"
    )
    assert unit(NAMES[1])["Service"]["ExecStart"] == (
        "/opt/fecosr/bin/fecosr-market-node --config /etc/fecosr/%i/node.toml"
    )


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_nothing_to_complain_about(name: str, tmp_path: Path) -> None:
    # The program has to exist for this check, so the unit is pointed at one that does.
    path = tmp_path / name.replace("@", "@fr")
    text = (UNITS / name).read_text()
    for binary in ("fecosr-coordinator", "fecosr-market-node"):
        text = text.replace(f"/opt/fecosr/bin/{binary}", sys.executable)
    path.write_text(text)
    assert ANALYZE is not None
    verified = subprocess.run([ANALYZE, "verify", str(path)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    exposure = [ANALYZE, "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(path)]
    assert subprocess.run(exposure, capture_output=True, check=False).returncode == 0
