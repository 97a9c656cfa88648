"""The import contracts hold, and each of them breaks when it is violated."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINT = Path(sys.executable).parent / "lint-imports"

VIOLATIONS = [
    pytest.param("fecosr/rpc/listener.py", "import uvicorn", "Only web speaks HTTP", id="http-outside-web"),
    pytest.param("fecosr/web/server.py", "import fecosr.crypto.aead", "Web can reach", id="keys-in-web"),
    pytest.param("coordinator/archives.py", "import psycopg", "database server", id="database-above-storage"),
    pytest.param("fecosr/data/sequences.py", "import fecosr.harness.runner", "Layers", id="upwards"),
    pytest.param("fecosr/ledger/log.py", "import fecosr.data.catalogue", "Layers", id="sideways"),
    pytest.param("fecosr/secagg/masking.py", "import time", "Pure core", id="clock-in-the-core"),
    pytest.param("fecosr/federation/node.py", "import torch", "Pure core", id="torch-in-the-core"),
    pytest.param("coordinator/state.py", "import fecosr.data.sequences", "interaction data", id="data"),
    pytest.param("fecosr/storage/lock.py", "import torch", "interaction data", id="torch-below-coordinator"),
    pytest.param("fecosr/storage/lock.py", "import grpc", "speak gRPC", id="grpc-outside-rpc"),
    pytest.param("coordinator/state.py", "import fecosr.serving.facts", "interaction data", id="model"),
    pytest.param("coordinator/state.py", "import market_node", "independent", id="binaries"),
    pytest.param("fecosr/harness/runner.py", "import coordinator.state", "never imports", id="binary"),
]


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT), "--config", str(tree / "pyproject.toml"), "--no-cache"]
    wide = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(command, cwd=tree, env=wide, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the sources that a test may spoil."""
    for package in ("fecosr", "coordinator", "market_node"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("file", "line", "contract"), VIOLATIONS)
def test_a_violation_breaks_its_contract(tree: Path, file: str, line: str, contract: str) -> None:
    source = tree / file
    source.write_text(f"{source.read_text()}\n{line}\n")
    result = lint(tree)
    assert result.returncode == 1, result.stdout
    assert any(contract in text and "BROKEN" in text for text in result.stdout.splitlines()), result.stdout


def test_a_stray_package_is_refused(tree: Path) -> None:
    (tree / "fecosr" / "utils.py").write_text('"""A drawer for everything."""\n')
    result = lint(tree)
    assert result.returncode == 1
    assert "fecosr.utils" in result.stdout
