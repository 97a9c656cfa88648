"""The wheel, built for real: what is in it, and what it asks for."""

import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from fecosr import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the backend that pip uses, without a network."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_is_pure_and_of_this_version(wheel: Path) -> None:
    assert wheel.name == f"fecosr-{__version__}-py3-none-any.whl"


def test_every_module_and_every_file_it_reads_is_in_it(names: set[str]) -> None:
    for package in ("fecosr", "coordinator", "market_node"):
        sources = {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*.py")}
        assert sources <= names
        assert f"{package}/py.typed" in names
    data = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "fecosr").rglob("*")
        if path.suffix in {".toml", ".jinja", ".html", ".css", ".js", ".svg"}
    }
    assert data <= names
    assert "fecosr/harness/scenarios/demo.toml" in data


def test_nothing_else_is_in_it(names: set[str]) -> None:
    strays = [name for name in names if name.split("/")[0] not in {"fecosr", "coordinator", "market_node"}]
    assert all(name.startswith(f"fecosr-{__version__}.dist-info/") for name in strays)
    assert not [name for name in names if "Dockerfile" in name or name.endswith((".pyc", ".key", ".pem"))]
    assert f"fecosr-{__version__}.dist-info/licenses/LICENSE" in names


def test_what_it_asks_for(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"fecosr-{__version__}.dist-info/METADATA").decode()
        scripts = archive.read(f"fecosr-{__version__}.dist-info/entry_points.txt").decode()
    metadata = HeaderParser().parsestr(text)
    wanted = metadata.get_all("Requires-Dist") or []
    always = {requirement.split(">")[0] for requirement in wanted if "extra ==" not in requirement}
    assert {"cryptography", "grpcio", "protobuf"} <= always
    assert not {"torch", "polars", "opacus"} & always
    assert "node" in (metadata.get_all("Provides-Extra") or [])
    assert metadata["Requires-Python"] == "<3.14,>=3.11"
    for name in ("fecosr", "fecosr-coordinator", "fecosr-market-node"):
        assert f"\n{name} = " in f"\n{scripts}"
