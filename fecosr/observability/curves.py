"""Training curves as points, from what a run leaves behind: its ledger, the parties' logs, a comparison."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fecosr.ids import COORDINATOR
from fecosr.ledger.log import Entry
from fecosr.ledger.records import RoundReleased
from fecosr.observability.lines import Fields, LogLine, number, text, whole

VALIDATION: Final = "validation_ndcg_10"
_EPOCHS: Final[Mapping[str, str]] = {"local_progress": "local", "fine_tuning_progress": "fine_tuning"}
_MEASURES: Final = ("loss", "update_norm", "cosine", "dissimilarity", "validation")


@dataclass(frozen=True, slots=True)
class Point:
    """Hold one point of one curve.

    Attributes:
        run: whose curve: a party, or a method of a comparison under one variant of the data and seed.
        tag: what was measured.
        step: the round or the epoch.
        value: what was found.
        at: Unix seconds; None where nobody wrote it down.
    """

    run: str
    tag: str
    step: int
    value: float
    at: float | None = None


def ledger_points(entries: Iterable[Entry]) -> Iterator[Point]:
    """Yield what a ledger says of every released round: markets in the sum, and the metric where it is open.

    The metric of round n is of the model that round n - 1 released.
    """
    for entry in entries:
        match entry.body:
            case RoundReleased(round=released, survivors=survivors, validation=validation):
                yield Point(COORDINATOR, "rounds/survivors", released, float(len(survivors)))
                if validation is not None:
                    yield Point(COORDINATOR, f"shared_model/{VALIDATION}", released - 1, validation)
            case _:
                pass


def log_points(lines: Iterable[LogLine]) -> Iterator[Point]:
    """Yield what a party's log says: losses and durations of rounds, metrics of epochs."""
    for line in lines:
        party, step = line.text("party"), line.whole("round")
        if line.event == "round_released" and step is not None:
            found = {"training/loss": line.number("loss"), "rounds/seconds": line.number("seconds")}
            for tag, value in found.items():
                if value is not None:
                    yield Point(party, tag, step, value, line.at)
        metric, epoch = line.number(VALIDATION), line.whole("epoch")
        if line.event in _EPOCHS and metric is not None and epoch is not None:
            yield Point(party, f"{_EPOCHS[line.event]}/{VALIDATION}", epoch, metric, line.at)


def comparison_points(results: Fields) -> Iterator[Point]:
    """Yield what the `results.json` of a comparison says of the rounds of its federated methods."""
    for found in _tables(results.get("heterogeneity")):
        run = f"{text(found, 'method')}/{text(found, 'variant')}/seed-{whole(found, 'seed')}"
        for measured in _tables(found.get("rounds")):
            step = whole(measured, "round")
            for name in _MEASURES:
                value = number(measured, name)
                if step is not None and value is not None:
                    yield Point(run, f"training/{name}", step, value)


def _tables(value: object) -> Iterator[Fields]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item
