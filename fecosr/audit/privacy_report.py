"""Make `privacy_report.json`: what is promised to each market's customers, for programs.

`privacy_report.schema.json` beside this file says what stands in it, and is what tests validate it with.
"""

import platform
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Final

from fecosr import __version__
from fecosr.audit.burn_down import burn_down
from fecosr.audit.facts import RunFacts
from fecosr.audit.report import AuditReport, privacy_figures
from fecosr.audit.statements import blind_spots, not_protected, protected, statement

SCHEMA_VERSION: Final = 1
_LIBRARIES: Final = ("cryptography", "dp-accounting", "numpy", "opacus", "scipy")


def schema_text() -> str:
    """Return the JSON schema of the report."""
    return files("fecosr.audit").joinpath("privacy_report.schema.json").read_text(encoding="utf-8")


def privacy_report(report: AuditReport) -> dict[str, object]:
    """Return the content of `privacy_report.json`.

    An epsilon of null means that no finite epsilon holds. `protected` is empty unless the run is verified.
    """
    facts = report.facts
    return {
        "schema_version": SCHEMA_VERSION,
        "run": facts.opened.run if facts else None,
        "verified": report.verified,
        "statement": statement(facts, report.status),
        "rounds": facts.rounds if facts else 0,
        "privacy": privacy_figures(facts) if facts else [],
        "spending": list(_spending(facts)) if facts else [],
        "releases": [_release(number, facts) for number in range(facts.rounds)] if facts else [],
        "sums_opened": dict(facts.sums) if facts else {},
        "signed": [{"market": market, **asdict(signed)} for market, signed in facts.signed.items()]
        if facts
        else [],
        "protected": list(protected(facts)) if facts and report.verified else [],
        "not_protected": list(not_protected(facts)) if facts else [],
        "not_visible": list(blind_spots(facts)) if facts else [],
        "findings": [asdict(finding) for finding in report.findings],
        "software": software(facts),
    }


def software(facts: RunFacts | None) -> dict[str, object]:
    """Return what wrote the ledger, and with what it was audited."""
    return {
        "ledger_written_by": f"fecosr {facts.opened.version}" if facts else None,
        "audited_by": f"fecosr {__version__}",
        "python": platform.python_version(),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name)) is not None},
    }


def _spending(facts: RunFacts) -> Iterator[dict[str, object]]:
    """Yield how each market's budget was spent; markets that spent alike are computed once."""
    delta = facts.opened.privacy.delta
    if delta is None:
        return
    known: dict[object, list[dict[str, object]]] = {}
    for market, cost in facts.costs.items():
        alike = tuple(cost.bookings)
        if alike not in known:
            known[alike] = [asdict(point) for point in burn_down(cost, delta)]
        yield {"market": market, "points": known[alike]}


def _release(number: int, facts: RunFacts) -> dict[str, object]:
    opened = facts.released[number] if number < len(facts.released) else None
    return {
        "round": number + 1,
        "record": opened.record if opened else None,
        "markets": sorted(opened.survivors) if opened else [],
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
