"""What a run has cost each market's users so far, by its ledger."""

from functools import cache

from fecosr.ledger.records import RecordedEvent
from fecosr.ledger.schema import to_json
from fecosr.observability.view import RunView
from fecosr.privacy.accounting import epsilons, pld_epsilon
from fecosr.privacy.events import event_from_fields


def epsilon_spent(view: RunView, market: str) -> float | None:
    """Return epsilon of every attempt that may have seen a vector of `market`, at the run's delta.

    None when no finite epsilon holds, or the cost of a sum is not known yet. A figure is computed once for
    every number of attempts; by the accountant that needs no torch.
    """
    charged = view.markets[market].charged
    if view.privacy is None or view.privacy.delta is None:
        return None
    if not charged:
        return 0.0
    return None if view.event is None else _epsilon(view.event, charged, view.privacy.delta)


@cache
def _epsilon(event: RecordedEvent, count: int, delta: float) -> float:
    fields = to_json(event)
    assert isinstance(fields, dict)  # noqa: S101 - a dataclass becomes an object
    return max(epsilons({event_from_fields(fields): count}, delta, {"pld": pld_epsilon}).values())
