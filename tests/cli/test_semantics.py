"""`fecosr semantics`: what it prints goes into a plan as it is."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from fecosr.cli.app import app
from fecosr.config.plan import Plan
from fecosr.errors import ConfigError
from fecosr.recommender.settings import SemanticsSettings
from tests.reference.token_folder import write_token_folder

PLAN = {
    "run": {"name": "spring", "rounds": 3, "seed": 1},
    "cohort": {"n_min": 3, "max_colluding": 1},
    "privacy": {"mode": "none"},
    "aggregation": {"clip_norm": 10.0},
}


def printed(*arguments: str) -> SemanticsSettings:
    result = CliRunner().invoke(app, ["semantics", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return Plan.model_validate({**PLAN, **tomllib.loads(result.stdout)}).semantics


def test_a_folder_is_pinned_with_its_own_number_of_dimensions(tmp_path: Path) -> None:
    found = printed("folder", "--embedding", str(write_token_folder(tmp_path / "tiny")))
    assert (found.kind, found.embedding, found.dimension) == ("folder", "tiny", 16)


def test_a_file_of_vectors_is_pinned(tmp_path: Path) -> None:
    save_file({"a": np.ones(24, np.float32)}, tmp_path / "v.safetensors")
    found = printed("vectors", "--embedding", str(tmp_path / "v.safetensors"))
    assert (found.kind, found.dimension, len(found.embedding_hash)) == ("vectors", 24, 64)


def test_wordllama_is_pinned() -> None:
    pytest.importorskip("wordllama", reason="needs pip install 'fecosr[wordllama]'")
    assert (printed("wordllama").dimension, printed("wordllama").kind) == (256, "wordllama")


def test_without_its_files_a_kind_cannot_be_pinned() -> None:
    with pytest.raises(ConfigError, match="nobody said where"):
        CliRunner().invoke(app, ["semantics", "folder"], catch_exceptions=False)
