"""Turn a run that is over into figures, verdicts and the files that keep them."""

from dataclasses import dataclass
from pathlib import Path

from fecosr.audit.report import AuditReport, privacy_report
from fecosr.audit.verification import audit_run
from fecosr.harness.expectations import Evidence, Verdict, judge
from fecosr.harness.observation import Observation
from fecosr.harness.scenario import Scenario
from fecosr.harness.summary import KilledNode, Summary, read_figures
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
    """

    out: Path
    verdicts: tuple[Verdict, ...]
    summary: Summary
    audit: AuditReport
    observation: Observation

    @property
    def holds(self) -> bool:
        """Say whether every expectation holds."""
        return all(verdict.holds for verdict in self.verdicts)


def conclude(
    scenario: Scenario, out: Path, observation: Observation, *, seconds: float, out_of_time: bool
) -> Outcome:
    """Judge a finished run, write summary.json, privacy_report.json and harness.json; return the outcome."""
    read = {market.name: read_figures(out / market.name / "report.json") for market in scenario.markets}
    figures = {name: report for name, report in read.items() if report is not None}
    audit = audit_run(out)
    evidence = Evidence(observation, figures, audit, seconds, out_of_time)
    verdicts = judge(scenario, evidence)
    summary = Summary(
        markets=tuple(figures.values()),
        rounds=observation.rounds(),
        killed=_killed(scenario, observation),
        survivors={number: released.survivors for number, released in observation.released.items()},
        seconds=seconds,
    )
    outcome = Outcome(out, verdicts, summary, audit, observation)
    _write(scenario, outcome)
    return outcome


def _killed(scenario: Scenario, observation: Observation) -> tuple[KilledNode, ...]:
    """Return the kills that happened as the scenario wanted."""
    killed = []
    for ending in observation.endings:
        fault = scenario.fault_at(ending.name, ending.times)
        if ending.killed and fault is not None:
            killed.append(KilledNode(ending.name, fault.round, fault.phase, fault.restart))
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
        },
    )
