"""What scenarios came to, for machines: JUnit XML for test reports, JSON for everything else."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from fecosr.harness.conclusion import Outcome
from fecosr.harness.expectations import Verdict
from fecosr.harness.scenario import Scenario
from fecosr.storage.atomic_files import write_bytes, write_json

LAST_LINES: Final = 5
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")
"""What XML has no way to say, however it is escaped."""

Result = tuple[Scenario, Outcome]


def write_junit(path: Path, results: Sequence[Result]) -> None:
    """Write one test suite for each scenario, one test case for each of its expectations."""
    root = Element("testsuites")
    for scenario, outcome in results:
        failed = [verdict for verdict in outcome.verdicts if not verdict.holds]
        suite = SubElement(
            root,
            "testsuite",
            name=scenario.name,
            tests=str(len(outcome.verdicts)),
            failures=str(len(failed)),
            errors="0",
            time=f"{outcome.summary.seconds:.3f}",
        )
        for verdict in outcome.verdicts:
            case = SubElement(suite, "testcase", classname=scenario.name, name=verdict.expectation)
            if not verdict.holds:
                failure = SubElement(case, "failure", message=_printable(verdict.found))
                failure.text = _printable("\n".join(explanation(outcome)))
    indent(root)
    write_bytes(path, tostring(root, encoding="utf-8", xml_declaration=True))


def write_results(path: Path, results: Sequence[Result]) -> None:
    """Write what every scenario came to as one JSON array."""
    write_json(path, [as_json(scenario, outcome) for scenario, outcome in results])


def as_json(scenario: Scenario, outcome: Outcome) -> dict[str, object]:
    """Return what one scenario came to."""
    return {
        "name": scenario.name,
        "description": scenario.description,
        "holds": outcome.holds,
        "seconds": round(outcome.summary.seconds, 2),
        "rounds": outcome.summary.rounds,
        "run_folder": str(outcome.out),
        "expectations": [_verdict(verdict) for verdict in outcome.verdicts],
        "faults": [struck.what for struck in outcome.observation.struck],
        "aborted_attempts": outcome.observation.aborted,
        "peak_bytes": {name: used.peak_bytes for name, used in sorted(outcome.usage.items())},
    }


def explanation(outcome: Outcome) -> Iterator[str]:
    """Yield what helps to find out why something did not hold: last errors, and the ends of the logs."""
    for name, party in sorted(outcome.observation.parties.items()):
        if party.last_error:
            yield f"{name} said: {party.last_error[:500]}"
    for log in sorted((outcome.out / "logs").glob("*.jsonl")):
        yield f"the end of {log}:"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        yield from (f"    {line[:300]}" for line in lines[-LAST_LINES:])


def _verdict(verdict: Verdict) -> dict[str, object]:
    return {"expectation": verdict.expectation, "holds": verdict.holds, "found": verdict.found}


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)
