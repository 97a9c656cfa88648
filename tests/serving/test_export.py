"""What is handed on can be used, and holds nothing about the market's users and files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fecosr.data.sequences import MarketSequences
from fecosr.errors import ConfigError
from fecosr.serving.evaluation import evaluate_model
from fecosr.serving.export import CARD_FILE, export_model
from fecosr.serving.market_model import MODEL_FILE, ServedModel, load_market_model
from fecosr.serving.trained import figures


def test_an_export_is_a_market_model_folder_with_a_card(
    served: ServedModel, market: MarketSequences, tmp_path: Path
) -> None:
    export_model(served, tmp_path / "out", onnx=False)
    loaded = load_market_model(tmp_path / "out")
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, served.model.state_dict()[name])
    again = evaluate_model(loaded, market, "test", history_filtered=True, advance=lambda _: None)
    assert figures(again.overall) == served.facts.metrics.test
    assert (tmp_path / "out" / CARD_FILE).read_text().startswith("# Market model: isle\n")


def test_what_is_said_about_users_and_files_stays_at_home(
    served: ServedModel, market: MarketSequences, tmp_path: Path
) -> None:
    known = served.facts.data.settings
    assert known is not None
    settings = replace(known, exclude_users=("mrs-secret",), path="/secret/place")
    data = served.facts.data.model_copy(update={"settings": settings})
    facts = served.facts.model_copy(update={"data": data})
    export_model(replace(served, facts=facts), tmp_path / "out", onnx=False)
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    fingerprint = served.facts.data.fingerprint
    assert fingerprint is not None
    assert not any(word in everything for word in (b"secret", fingerprint.encode()))
    assert not any(user.encode() in everything for user in market.user_ids)
    stored = json.loads((tmp_path / "out" / MODEL_FILE).read_text())["model"]["data"]
    assert (stored["settings"], stored["fingerprint"]) == (None, None)


def test_a_folder_in_use_is_not_touched(served: ServedModel, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(ConfigError, match="holds something already"):
        export_model(served, tmp_path, onnx=False)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    with pytest.raises(ConfigError, match="holds something already"):
        export_model(served, tmp_path / "precious", onnx=False)
