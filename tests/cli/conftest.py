import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.cli import app as cli
from fecosr.data.sequences import load_market
from fecosr.serving.market_model import save_market_model
from tests.reference.trained_market import DATA, trained_model

Command = Callable[..., int]

FEDERATION = """\
[coordinator]
address = "localhost:7443"

[plan]
run = { name = "spring", rounds = 2, seed = 7 }
cohort = { n_min = 2, max_colluding = 0 }
privacy = { mode = "none" }
aggregation = { clip_norm = 5.0 }
semantics = { dimension = 16 }
encoder = { dimension = 8, num_blocks = 1, feed_forward_dimension = 8, projector_dimension = 8 }

[[markets]]
name = "fr"
data = { kind = "csv", path = "orders.csv" }

[[markets]]
name = "uk"
data = { kind = "csv", path = "orders.csv" }
"""


@pytest.fixture
def federation_file(tmp_path: Path) -> Path:
    path = tmp_path / "federation.toml"
    path.write_text(FEDERATION)
    return path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line in this process and return its exit code."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["fecosr", *arguments])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        return int(exited.value.code or 0)

    return run


@pytest.fixture(scope="session")
def market_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two models of one market: `titled`, and `untitled`, which knows ids alone."""
    folder, market = tmp_path_factory.mktemp("models"), load_market(DATA)
    save_market_model(folder / "titled", trained_model(market))
    without = replace(market, catalogue=replace(market.catalogue, titles=None))
    save_market_model(folder / "untitled", trained_model(without))
    return folder


@pytest.fixture
def model_folder(market_models: Path, tmp_path: Path) -> Path:
    """Return a model folder that a test may spoil."""
    return shutil.copytree(market_models / "titled", tmp_path / "model")


@pytest.fixture
def untitled_folder(market_models: Path) -> Path:
    return market_models / "untitled"
