"""The exported graph scores as the model does; without the extra, that is said in one line."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fecosr.errors import ConfigError, StorageError
from fecosr.serving import onnx_export
from fecosr.serving.evaluation import scorer_of
from fecosr.serving.export import export_model
from fecosr.serving.market_model import ServedModel
from fecosr.serving.onnx_export import PACKAGES, NextItemScores, write_onnx


def test_without_the_extra_there_is_no_onnx_and_no_export(
    served: ServedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", {}.get)
    with pytest.raises(ConfigError, match=r"--onnx: ONNX needs onnx, .*pip install 'fecosr\[onnx\]'"):
        export_model(served, tmp_path / "out", onnx=True)
    assert list(tmp_path.iterdir()) == []


def test_the_scoring_function_is_that_of_recommendations(served: ServedModel) -> None:
    scores = NextItemScores(served.model, served.semantics)
    histories = [np.array([3, 1, 4], np.int32), np.array([5], np.int32)]
    items = torch.tensor([[3, 1, 4], [5, 0, 0]])
    with torch.no_grad():
        found = scores(items, torch.tensor([3, 1])).numpy()
    np.testing.assert_array_equal(found, scorer_of(served)(histories))


@pytest.mark.slow
class TestWithTheExtra:
    @pytest.fixture(autouse=True)
    def _extra(self) -> None:
        for name in PACKAGES:
            pytest.importorskip(name)

    def test_onnx_runtime_computes_the_same_scores_for_any_batch_and_length(
        self, served: ServedModel, tmp_path: Path
    ) -> None:
        import onnxruntime

        path = tmp_path / "model.onnx"
        write_onnx(served, path)
        assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
        session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        rng = np.random.default_rng(3)
        for size, length in ((1, 1), (2, 8), (11, 5)):
            lengths = rng.integers(1, length + 1, size=size)
            items = rng.integers(96, size=(size, length))
            histories = [row[:end].astype(np.int32) for row, end in zip(items, lengths, strict=True)]
            (found,) = session.run(None, {"items": items, "lengths": lengths})
            np.testing.assert_allclose(found, scorer_of(served)(histories), rtol=1e-4, atol=1e-5)

    def test_a_graph_that_computes_something_else_is_not_kept(
        self, served: ServedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
        with pytest.raises(StorageError, match="computes other scores"):
            export_model(served, tmp_path / "out", onnx=True)
        assert list(tmp_path.iterdir()) == []

    def test_an_export_says_that_it_has_onnx(self, served: ServedModel, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        export_model(served, tmp_path / "out", onnx=True)
        assert (tmp_path / "out" / "model.onnx").is_file()
        assert "`model.onnx` takes `items`" in (tmp_path / "out" / "MODEL_CARD.md").read_text()
