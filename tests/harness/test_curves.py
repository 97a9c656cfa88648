"""Curves on their way from a run folder to TensorBoard, which reads them back here."""

import json
from pathlib import Path

import pytest

from fecosr.errors import ConfigError
from fecosr.harness.curves import read_curves, write_tensorboard
from fecosr.observability.curves import Point
from tests.reference.audited_run import make_run

LOG = [
    {"timestamp": "2026-01-02T03:04:05Z", "level": "info", "event": "round_released", "party": "coordinator",
     "round": 1, "loss": 4.5, "seconds": 2.0},
    {"timestamp": "2026-01-02T03:05:05Z", "level": "info", "event": "fine_tuning_progress", "party": "fr",
     "round": 2, "epoch": 1, "validation_ndcg_10": 0.25},
]  # fmt: skip


def lines(records: list[dict[str, object]]) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


def test_ledger_and_logs_of_a_run_folder_are_read(tmp_path: Path) -> None:
    make_run().write(tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "coordinator.jsonl").write_text(lines(LOG[:1]) + '{"timestamp": "2026-01')
    (tmp_path / "fr.log").write_text("Traceback\n" + lines(LOG[1:]))
    points = read_curves(tmp_path, [tmp_path / "fr.log"])
    assert {(point.run, point.tag) for point in points} >= {
        ("coordinator", "rounds/survivors"),
        ("coordinator", "training/loss"),
        ("fr", "fine_tuning/validation_ndcg_10"),
    }
    (loss,) = (point for point in points if point.tag == "training/loss")
    assert (loss.step, loss.value, loss.at) == (1, 4.5, 1767323045.0)


def test_of_two_points_for_one_step_the_later_counts(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(lines([LOG[1], {**LOG[1], "validation_ndcg_10": 0.5}]))
    (point,) = read_curves(tmp_path, [tmp_path / "a.log"])
    assert point.value == 0.5


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    points = [
        Point("coordinator", "training/loss", 1, 4.5, 1767323045.0),
        Point("coordinator", "training/loss", 2, 4.25, 1767323046.0),
        Point("fecosr/raw/seed-1", "training/loss", 1, 3.5),
    ]
    assert write_tensorboard(points, tmp_path / "board") == 2
    read = {}
    for run in ("coordinator", "fecosr/raw/seed-1"):
        events = event_accumulator.EventAccumulator(str(tmp_path / "board" / run))
        events.Reload()
        read[run] = [(e.step, e.value, e.wall_time) for e in events.Scalars("training/loss")]
    assert read == {
        "coordinator": [(1, 4.5, 1767323045.0), (2, 4.25, 1767323046.0)],
        "fecosr/raw/seed-1": [(1, 3.5, 1.0)],
    }
    with pytest.raises(ConfigError, match="is there already"):
        write_tensorboard(points, tmp_path / "board")


def test_a_folder_without_curves_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no training curves"):
        read_curves(tmp_path)
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(ConfigError, match="no results of a comparison"):
        read_curves(tmp_path)
    with pytest.raises(ConfigError, match=r"absent\.log: cannot be read"):
        read_curves(tmp_path, [tmp_path / "absent.log"])


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "coordinator").mkdir()
    (tmp_path / "coordinator" / "ledger.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match=r"ledger\.jsonl: record 0"):
        read_curves(tmp_path)


def test_without_tensorboard_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fecosr.harness.curves.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install 'fecosr\[tensorboard\]'"):
        write_tensorboard([], tmp_path / "board")
