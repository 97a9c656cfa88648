"""The verdict on a run: every expectation in words, and what was found instead where it does not hold."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fecosr.audit.report import AuditReport
from fecosr.harness.observation import Ending, Observation
from fecosr.harness.scenario import Fault, Scenario
from fecosr.harness.summary import MarketFigures


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold everything a verdict may rest on.

    Attributes:
        observation: what the processes said and how they ended.
        figures: what the markets report about themselves, by name.
        audit: what an audit of the run folder came to.
        seconds: how long the run took.
        out_of_time: whether it was ended for that reason.
    """

    observation: Observation
    figures: Mapping[str, MarketFigures]
    audit: AuditReport
    seconds: float
    out_of_time: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say of one expectation whether it holds, and what was found."""

    expectation: str
    holds: bool
    found: str

    def sentence(self) -> str:
        """Return one line for people."""
        return f"{'holds' if self.holds else 'FAILS'}  {self.expectation}: {self.found}"


def judge(scenario: Scenario, evidence: Evidence) -> tuple[Verdict, ...]:
    """Return one verdict for each thing `scenario` expects; no failure keeps another from being looked at."""
    return (
        _in_time(scenario, evidence),
        _rounds(scenario, evidence.observation),
        *_kills(scenario, evidence.observation),
        *_dropouts(scenario, evidence.observation),
        _exits(scenario, evidence.observation),
        *(_report(scenario, name, evidence.figures.get(name)) for name in scenario.expected_reports()),
        *_audit(scenario, evidence.audit),
    )


def _in_time(scenario: Scenario, evidence: Evidence) -> Verdict:
    found = "it was ended then" if evidence.out_of_time else f"it took {evidence.seconds:.1f} s"
    limit = scenario.expect.max_seconds
    return Verdict(f"over within {limit:g} s", not evidence.out_of_time and evidence.seconds <= limit, found)


def _rounds(scenario: Scenario, observation: Observation) -> Verdict:
    expected = scenario.expected_rounds()
    fewest, most = expected[0], expected[-1]
    expectation = f"{most if fewest == most else f'{fewest} to {most}'} rounds released"
    found = observation.completed_rounds
    if found is None:
        last = max(observation.released, default=0)
        return Verdict(expectation, False, f"the run never completed; the last was round {last}")
    return Verdict(expectation, found in expected, f"{found} were")


def _kills(scenario: Scenario, observation: Observation) -> Iterator[Verdict]:
    endings = {(ending.name, ending.times): ending for ending in observation.endings}
    for target in sorted({fault.target for fault in scenario.faults}):
        for times, fault in enumerate(scenario.faults_of(target), start=1):
            yield _kill(fault, endings.get((target, times)))


def _kill(fault: Fault, ending: Ending | None) -> Verdict:
    expectation = f"{fault.target} dies of SIGKILL at {fault.phase} of round {fault.round}"
    if ending is None:
        return Verdict(expectation, False, "it never ended")
    if not ending.killed:
        return Verdict(expectation, False, f"it ended with exit code {ending.returncode}")
    if ending.round not in {None, fault.round}:
        return Verdict(expectation, False, f"it died in round {ending.round}")
    return Verdict(expectation, True, f"it did, while it was at {ending.activity!r}")


def _dropouts(scenario: Scenario, observation: Observation) -> Iterator[Verdict]:
    expected = scenario.expected_dropouts()
    for number in sorted({*expected, *(n for n, r in observation.released.items() if r.dropouts)}):
        wanted = expected.get(number, ())
        expectation = f"round {number} is released without {', '.join(wanted) or 'losing anybody'}"
        released = observation.released.get(number)
        if released is None:
            yield Verdict(expectation, False, "it was not released")
            continue
        missing = ", ".join(released.dropouts) or "nobody"
        found = f"{missing} was missing, {len(released.survivors)} survivors: {', '.join(released.survivors)}"
        yield Verdict(expectation, released.dropouts == wanted, found)


def _exits(scenario: Scenario, observation: Observation) -> Verdict:
    bad = [
        end for end in observation.endings if end.returncode and not scenario.fault_at(end.name, end.times)
    ]
    alive = sorted(name for name, party in observation.parties.items() if party.running)
    found = [f"{end.name} ended with {end.returncode} at {end.activity!r}" for end in bad]
    found += [f"{name} was still running when the run was given up" for name in alive]
    expectation = "every process that was not killed on purpose exits 0"
    return Verdict(expectation, not found, "; ".join(found) or "all did")


def _report(scenario: Scenario, name: str, figures: MarketFigures | None) -> Verdict:
    expectation = f"{name} ends with a fine-tuned model and sound figures"
    if figures is None:
        return Verdict(expectation, False, "it wrote no report that can be read")
    problems = list(_problems(scenario, figures))
    return Verdict(
        expectation, not problems, "; ".join(problems) or f"{figures.users} users, {figures.items} items"
    )


def _problems(scenario: Scenario, figures: MarketFigures) -> Iterator[str]:
    if figures.users < scenario.expect.min_users:
        yield f"it has {figures.users} users, fewer than {scenario.expect.min_users}"
    if figures.items < 1:
        yield "it has no items"
    for method in scenario.expect.methods:
        metrics = figures.methods.get(method)
        if not metrics:
            yield f"it has no figures for {method}"
            continue
        yield from (f"{method} has {name} {value}" for name, value in metrics.items() if not 0 <= value <= 1)


def _audit(scenario: Scenario, audit: AuditReport) -> Iterator[Verdict]:
    if scenario.expect.audit == "verified":
        found = "; ".join(finding.message for finding in audit.findings) or "verified"
        yield Verdict("the run folder passes the audit", audit.verified, found)
