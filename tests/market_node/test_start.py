import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_an_installation_without_the_node_extra_ends_in_one_line() -> None:
    program = (
        "import sys; sys.modules['polars'] = sys.modules['torch'] = None; "
        "from market_node.__main__ import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "--config", "node.toml"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "error: polars is not installed (pip install 'fecosr[node]')\n"


def test_a_node_begins_without_torch() -> None:
    """It is let in by the coordinator in less time than importing torch takes."""
    program = "import sys, market_node.main; print({'torch', 'opacus', 'scipy'} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "set()\n"
