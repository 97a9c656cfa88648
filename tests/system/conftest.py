import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIO = Path(__file__).with_name("lost_node.toml")
PATIENCE_SECONDS = 300.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def fecosr() -> Run:
    """Run the command line in a process of its own, as an operator would."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command: Sequence[str] = [
            *[sys.executable, "-c", "from fecosr.cli.app import main; main()"],
            *arguments,
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=environment, check=False
        )

    return run


@pytest.fixture(scope="session")
def finished_run(
    fecosr: Run, tmp_path_factory: pytest.TempPathFactory
) -> "tuple[Path, subprocess.CompletedProcess[str]]":
    """Return the folder of a real run in which one node was killed, and what the command said."""
    out = tmp_path_factory.mktemp("system") / "run"
    return out, fecosr("harness", "run", str(SCENARIO), "--out", str(out))
