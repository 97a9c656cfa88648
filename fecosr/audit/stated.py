"""Compare the `privacy_report.json` that came with a run with what the ledger says."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Final

from fecosr.audit.findings import Finding

_TOLERANCE: Final = 1e-4
"""Libraries of other versions may differ in the last digits; an edited figure does not hide there."""


def check_stated(
    data: bytes | None, recomputed: Sequence[dict[str, object]], last_release: int | None
) -> Iterator[Finding]:
    """Yield a finding for every statement of privacy that is not what follows from the ledger.

    Args:
        data: of the report; None when there is none, which is no finding, for it can be made any time.
        recomputed: for every market what the ledger says.
        last_release: the record after which the figures hold.
    """
    if data is None:
        return
    try:
        stated = json.loads(data)["privacy"]
        by_market = {str(entry["market"]): entry for entry in stated}
    except (ValueError, KeyError, TypeError, RecursionError):
        yield Finding(last_release, "privacy_report", "privacy_report.json cannot be read.")
        return
    for entry in recomputed:
        market = str(entry["market"])
        found = by_market.pop(market, {})
        wrong = [name for name, value in entry.items() if not _same(found.get(name), value)]
        if wrong:
            message = (
                f"privacy_report.json says something else about {market} than follows from the ledger up to "
                f"record {last_release}: {', '.join(wrong)}."
            )
            yield Finding(last_release, "privacy_report", message)
    for market in by_market:
        message = f"privacy_report.json speaks of {market}, which is no market of this run."
        yield Finding(last_release, "privacy_report", message)


def _same(stated: object, value: object) -> bool:
    if isinstance(value, dict):
        return (
            isinstance(stated, dict)
            and stated.keys() == value.keys()
            and all(_same(stated[name], part) for name, part in value.items())
        )
    if isinstance(value, float) and isinstance(stated, int | float) and not isinstance(stated, bool):
        return math.isclose(stated, value, rel_tol=_TOLERANCE)
    return stated == value
