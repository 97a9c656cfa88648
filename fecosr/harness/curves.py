"""Training curves of a run folder, of logs or of a comparison, written for TensorBoard."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fecosr.errors import ConfigError, LedgerError
from fecosr.ledger.log import decode_entry
from fecosr.observability.curves import Point, comparison_points, ledger_points, log_points
from fecosr.observability.lines import LogLine
from fecosr.storage.atomic_files import make_folder

RESULTS_FILE: Final = "results.json"


def read_curves(folder: Path, logs: Sequence[Path] = ()) -> tuple[Point, ...]:
    """Return every point that stands in `folder` and in `logs`; of two for the same step the later one.

    Args:
        folder: a run folder with `coordinator/ledger.jsonl` and perhaps `logs/`, or one of a comparison.
        logs: JSON lines of parties whose logs are elsewhere.

    Raises:
        ConfigError: there are no curves, or a file cannot be read.
    """
    points = {(point.run, point.tag, point.step): point for point in _all_points(folder, logs)}
    if not points:
        raise ConfigError(
            "holds no training curves",
            remedy="name a run folder or a comparison's, or a log with --log",
            source=str(folder),
        )
    return tuple(points.values())


def write_tensorboard(points: Sequence[Point], out: Path) -> int:
    """Write `points` as event files, one folder per run, and return how many curves they are.

    Raises:
        ConfigError: TensorBoard is not installed, or `out` is there already: it would show old beside new.
    """
    if find_spec("tensorboard") is None:
        raise ConfigError("tensorboard is not installed", remedy="pip install 'fecosr[tensorboard]'")
    from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415 - an extra
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415
    from tensorboard.summary.writer.event_file_writer import EventFileWriter  # noqa: PLC0415

    if out.exists():
        raise ConfigError("is there already", remedy="name a new folder", source=str(out))
    for run in dict.fromkeys(point.run for point in points):
        make_folder(out / run)
        writer = EventFileWriter(str(out / run))
        for point in points:
            if point.run == run:
                value = Summary.Value(tag=point.tag, simple_value=point.value)
                # Where nobody wrote the time down, steps stand in order.
                at = float(point.step) if point.at is None else point.at
                writer.add_event(Event(wall_time=at, step=point.step, summary=Summary(value=[value])))
        writer.close()
    return len({(point.run, point.tag) for point in points})


def _all_points(folder: Path, logs: Sequence[Path]) -> Iterator[Point]:
    ledger, results = folder / "coordinator" / "ledger.jsonl", folder / RESULTS_FILE
    if ledger.is_file():
        lines = _read(ledger).encode().split(b"\n")[:-1]
        try:
            yield from ledger_points(decode_entry(line, number) for number, line in enumerate(lines))
        except LedgerError as error:
            raise ConfigError(str(error), remedy="fecosr audit says more", source=str(ledger)) from None
    for path in (*sorted(folder.glob("logs/*.jsonl")), *logs):
        yield from log_points(_log_lines(_read(path)))
    if results.is_file():
        try:
            yield from comparison_points(json.loads(_read(results)))
        except (ValueError, AttributeError):
            raise ConfigError("holds no results of a comparison", source=str(results)) from None


def _log_lines(text: str) -> Iterator[LogLine]:
    """Yield the lines that are events; a killed process leaves half a line, and libraries have their say."""
    for line in text.splitlines():
        try:
            fields = json.loads(line)
            at = datetime.fromisoformat(fields.pop("timestamp")).timestamp()
            yield LogLine(at, str(fields.pop("level", "")), str(fields.pop("event", "")), fields)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(path)) from None
