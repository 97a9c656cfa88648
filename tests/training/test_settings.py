import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from fecosr.training.settings import (
    FineTuningSettings,
    LearningSettings,
    LocalBaselineSettings,
    LocalTrainingSettings,
)

WRONG: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (LocalTrainingSettings, {"epochs": 0}, "epochs"),
    (LocalTrainingSettings, {"batch_size": 0}, "batch_size"),
    (LocalTrainingSettings, {"learning_rate": 0.0}, "learning_rate"),
    (LocalTrainingSettings, {"learning_rate": float("nan")}, "learning_rate"),
    (LocalTrainingSettings, {"weight_decay": -0.1}, "weight_decay"),
    (LocalTrainingSettings, {"loss": "bce"}, "loss"),
    (LocalTrainingSettings, {"label_smoothing": 1.0}, "label_smoothing"),
    (LocalTrainingSettings, {"proximal": -1.0}, "proximal"),
    (LocalTrainingSettings, {"precision": "float16"}, "precision must be one of float32, bfloat16"),
    (FineTuningSettings, {"max_epochs": -1}, "max_epochs"),
    (FineTuningSettings, {"patience": 0}, "patience"),
    (FineTuningSettings, {"batch_size": 0}, "batch_size"),
    (FineTuningSettings, {"learning_rate": -1.0}, "learning_rate"),
    (FineTuningSettings, {"weight_decay": float("inf")}, "weight_decay"),
    (FineTuningSettings, {"encoder": "thawed"}, "encoder"),
    (FineTuningSettings, {"encoder_learning_rate": 0.0}, "encoder_learning_rate"),
    (FineTuningSettings, {"precision": "half"}, "precision"),
    (LocalBaselineSettings, {"max_epochs": 0}, "max_epochs"),
    (LocalBaselineSettings, {"patience": 0}, "patience"),
    (LocalBaselineSettings, {"batch_size": 0}, "batch_size"),
    (LocalBaselineSettings, {"learning_rate": 0.0}, "learning_rate"),
    (LocalBaselineSettings, {"weight_decay": -1.0}, "weight_decay"),
    (LocalBaselineSettings, {"precision": ""}, "precision"),
    (LocalBaselineSettings, {"schedule": "linear"}, "schedule"),
]


@pytest.mark.parametrize(("section", "values", "rule"), WRONG)
def test_a_value_out_of_range_is_refused_by_name(
    section: Callable[..., Any], values: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        section(**values)


def test_pydantic_reads_nested_sections_and_refuses_a_misspelt_key() -> None:
    adapter = TypeAdapter(LearningSettings)
    read = adapter.validate_python({"encoder": {"dimension": 32}, "fine_tuning": {"encoder": "frozen"}})
    assert read.encoder.dimension == 32
    assert read.fine_tuning.encoder == "frozen"
    wrongs: list[dict[str, dict[str, int]]] = [{"local_trainning": {}}, {"local_training": {"epoch": 1}}]
    for wrong in wrongs:
        with pytest.raises(ValidationError, match="Unexpected keyword"):
            adapter.validate_python(wrong)


def test_settings_can_be_read_without_torch() -> None:
    """The coordinator reads these settings, and neither has nor needs torch."""
    code = "import sys, fecosr.training.settings; sys.exit('torch' in sys.modules or 'polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
