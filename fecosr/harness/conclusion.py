"""Turn a run that is over into figures, verdicts and the files that keep them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fecosr.audit.privacy_report import privacy_report
from fecosr.audit.report import AuditReport
from fecosr.audit.verification import audit_run
from fecosr.harness.expectations import Evidence, Verdict, judge
from fecosr.harness.observation import Observation
from fecosr.harness.scenario import Scenario
from fecosr.harness.summary import KilledNode, Summary, read_figures
from fecosr.harness.usage import MemoryUsage
from fecosr.storage.atomic_files import write_json


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what a scenario came to.

    Attributes:
        out: the run folder.
        verdicts: one for each expectation.
        summary: the figures.
        audit: what an audit of the run folder came to.
        observation: everything the processes said.
        usage: how much memory they had, by name.
    """

    out: Path
    verdicts: tuple[Verdict, ...]
    summary: Summary
    audit: AuditReport
    observation: Observation
    usage: Mapping[str, MemoryUsage] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Say whether every expectation holds."""
        return all(verdict.holds for verdict in self.verdicts)


def conclude(
    scenario: Scenario,
    out: Path,
    observation: Observation,
    usage: Mapping[str, MemoryUsage],
    *,
    seconds: float,
    out_of_time: bool,
) -> Outcome:
    """Judge a finished run, write summary.json, privacy_report.json and harness.json; return the outcome."""
    read = {market.name: read_figures(out / market.name / "report.json") for market in scenario.markets}
    figures = {name: report for name, report in read.items() if report is not None}
    audit = audit_run(out)
    sums = None
    if scenario.expect.sums == "recomputed" and audit.verified:
        # Training again takes torch, which nothing else here does.
        from fecosr.harness.recomputation import wrong_sums  # noqa: PLC0415 - heavy

        sums = wrong_sums(scenario, out)
    evidence = Evidence(observation, figures, audit, seconds, out_of_time, usage, sums)
    verdicts = judge(scenario, evidence)
    summary = Summary(
        markets=tuple(figures.values()),
        rounds=observation.rounds(),
        killed=_killed(scenario, observation),
        survivors={number: released.survivors for number, released in observation.released.items()},
        seconds=seconds,
    )
    outcome = Outcome(out, verdicts, summary, audit, observation, usage)
    _write(scenario, outcome)
    return outcome


def _killed(scenario: Scenario, observation: Observation) -> tuple[KilledNode, ...]:
    """Return the kills by phase, in the order in which they happened."""
    killed, left = [], list(scenario.phase_kills())
    for ending in observation.endings:
        fault = next((it for it in left if it.target == ending.name), None)
        if ending.killed and ending.fault is None and fault is not None:
            left.remove(fault)
            killed.append(KilledNode(ending.name, fault.round or 0, fault.phase or "", fault.restart))
    return tuple(killed)


def _write(scenario: Scenario, outcome: Outcome) -> None:
    write_json(outcome.out / "summary.json", outcome.summary.as_json())
    write_json(outcome.out / "privacy_report.json", privacy_report(outcome.audit))
    write_json(
        outcome.out / "harness.json",
        {
            "scenario": scenario.model_dump(mode="json"),
            "holds": outcome.holds,
            "expectations": [
                {"expectation": verdict.expectation, "holds": verdict.holds, "found": verdict.found}
                for verdict in outcome.verdicts
            ],
            "faults": [asdict(struck) for struck in outcome.observation.struck],
            "aborted_attempts": outcome.observation.aborted,
            "memory": {name: asdict(used) for name, used in sorted(outcome.usage.items())},
        },
    )
