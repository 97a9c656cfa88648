"""One small market whose model was trained for an epoch: with titles, and with ids alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fecosr.data.sequences import MarketSequences, load_market
from fecosr.serving.market_model import ServedModel, save_market_model
from tests.reference.trained_market import DATA, trained_model

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def market() -> MarketSequences:
    return load_market(DATA)


@pytest.fixture(scope="session")
def served(market: MarketSequences) -> ServedModel:
    return trained_model(market)


@pytest.fixture(scope="session")
def untitled(market: MarketSequences) -> ServedModel:
    """Return the model of the same market without titles: what its items mean, nobody knows."""
    return trained_model(replace(market, catalogue=replace(market.catalogue, titles=None)))


@pytest.fixture
def folder(served: ServedModel, tmp_path: Path) -> Path:
    save_market_model(tmp_path / "model", served)
    return tmp_path / "model"
