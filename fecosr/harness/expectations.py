"""The verdict on a run: every expectation in words, and what was found instead where it does not hold."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fecosr.audit.report import AuditReport
from fecosr.config.exits import TERMINATED
from fecosr.harness.faults import ClockSkew, Kill, Lie, Restart, Storm
from fecosr.harness.observation import Ending, Observation
from fecosr.harness.scenario import Scenario
from fecosr.harness.summary import MarketFigures, macro_mean
from fecosr.harness.usage import MemoryUsage
from fecosr.ids import COORDINATOR


@dataclass(frozen=True, slots=True)
class Evidence:
    """Hold everything a verdict may rest on.

    Attributes:
        observation: what the processes said and how they ended.
        figures: what the markets report about themselves, by name.
        audit: what an audit of the run folder came to.
        seconds: how long the run took.
        out_of_time: whether it was ended for that reason.
        usage: how much memory the processes had, by name.
        sums: what recomputing the sums came to, one line for each that is wrong; None where it was not done.
    """

    observation: Observation
    figures: Mapping[str, MarketFigures]
    audit: AuditReport
    seconds: float
    out_of_time: bool
    usage: Mapping[str, MemoryUsage] = field(default_factory=dict)
    sums: Sequence[str] | None = None


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
        *_faults(scenario, evidence.observation),
        *_dropouts(scenario, evidence.observation),
        *_survivors(scenario, evidence.observation),
        *_aborts(scenario, evidence.observation),
        *_refusals(scenario, evidence.observation),
        *_said(scenario, evidence.observation),
        *_exits(scenario, evidence.observation),
        *(_report(scenario, name, evidence.figures.get(name)) for name in scenario.expected_reports()),
        *_metrics(scenario, evidence.figures),
        *_epsilon(scenario, evidence.audit),
        *_memory(scenario, evidence.usage),
        *_sums(scenario, evidence.sums),
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
    if scenario.expect.ends != "completed":
        found = len(observation.released)
        is_completed = observation.completed_rounds is not None
        words = f"{found} were{', and the run was completed' if is_completed else ''}"
        return Verdict(expectation, found in expected and not is_completed, words)
    completed = observation.completed_rounds
    if completed is None:
        last = max(observation.released, default=0)
        return Verdict(expectation, False, f"the run never completed; the last was round {last}")
    return Verdict(expectation, completed in expected, f"{completed} were")


def _faults(scenario: Scenario, observation: Observation) -> Iterator[Verdict]:
    for target in sorted({kill.target for kill in scenario.phase_kills()}):
        killed = [end for end in observation.endings if _is_self_inflicted(end, target)]
        others = [end for end in observation.endings if end.name == target and end not in killed]
        for place, kill in enumerate(scenario.phase_kills(target)):
            found = [*killed[place : place + 1], *others]
            yield _kill(kill, found[0] if found else None)
    for place, fault in enumerate(scenario.faults):
        if isinstance(fault, ClockSkew | Lie) or (isinstance(fault, Kill) and fault.phase is not None):
            continue
        yield _strike(place, scenario, observation)


def _is_self_inflicted(ending: Ending, target: str) -> bool:
    """Return whether a process died of SIGKILL and the harness did not send it."""
    return ending.name == target and ending.killed and ending.fault is None


def _kill(fault: Kill, ending: Ending | None) -> Verdict:
    expectation = fault.words()
    if ending is None:
        return Verdict(expectation, False, "it never ended")
    if not ending.killed:
        return Verdict(expectation, False, f"it ended with exit code {ending.returncode}")
    if ending.round not in {None, fault.round}:
        return Verdict(expectation, False, f"it died in round {ending.round}")
    return Verdict(expectation, True, f"it did, while it was at {ending.activity!r}")


def _strike(place: int, scenario: Scenario, observation: Observation) -> Verdict:
    fault = scenario.faults[place]
    struck = [it for it in observation.struck if it.fault == place]
    if not struck:
        return Verdict(fault.words(), False, "it never came to that")
    if isinstance(fault, Storm):
        counts = Counter(it.name for it in struck)
        victims = ", ".join(f"{name} {number} times" for name, number in sorted(counts.items()))
        return Verdict(fault.words(), True, f"{len(struck)} kills: {victims}")
    if isinstance(fault, Restart):
        codes = [it.returncode for it in observation.endings if it.fault == place]
        is_clean = codes == [TERMINATED]
        return Verdict(
            fault.words(), is_clean, f"exit code {codes[0]}" if codes else "it did not end in time"
        )
    return Verdict(fault.words(), True, struck[0].what)


def _dropouts(scenario: Scenario, observation: Observation) -> Iterator[Verdict]:
    expected = scenario.expected_dropouts()
    if expected is None:
        return
    rounds = observation.released | ({0: observation.sketch} if observation.sketch else {})
    for number in sorted({*expected, *(n for n, r in rounds.items() if r.dropouts)}):
        wanted = expected.get(number, ())
        expectation = f"round {number} is released without {', '.join(wanted) or 'losing anybody'}"
        released = rounds.get(number)
        if released is None:
            yield Verdict(expectation, False, "it was not released")
            continue
        missing = ", ".join(released.dropouts) or "nobody"
        found = f"{missing} was missing, {len(released.survivors)} survivors: {', '.join(released.survivors)}"
        yield Verdict(expectation, released.dropouts == wanted, found)


def _survivors(scenario: Scenario, observation: Observation) -> Iterator[Verdict]:
    fewest = scenario.expect.min_survivors
    if fewest is not None:
        counts = {number: len(released.survivors) for number, released in observation.released.items()}
        found = min(counts.values(), default=0)
        rounds = [number for number, count in counts.items() if count == found]
        words = f"{found}, in round {rounds[0]}" if rounds else "no round was released"
        yield Verdict(f"no sum is over fewer than {fewest} markets", found >= fewest, words)


def _aborts(scenario: Scenario, observation: Observation) -> Iterator[Verdict]:
    if scenario.expect.ends == "aborted":
        reason = observation.run_aborted
        yield Verdict("the run is given up", reason is not None, reason or "it was not")
    wanted = scenario.expect.abort_reasons
    if wanted is not None:
        found = ", ".join(sorted(observation.abort_reasons)) or "nothing"
        holds = observation.abort_reasons == set(wanted)
        yield Verdict(f"attempts are aborted for {', '.join(wanted) or 'nothing'}", holds, found)


def _refusals(scenario: Scenario, observation: Observation) -> Iterator[Verdict]:
    for name, rule in scenario.expect.refusals.items():
        heard = observation.refusals.get(name, [])
        yield Verdict(f"{name} refuses by the rule {rule!r}", rule in heard, ", ".join(heard) or "nothing")


def _said(scenario: Scenario, observation: Observation) -> Iterator[Verdict]:
    for name, events in scenario.expect.said.items():
        missing = sorted(set(events) - observation.party(name).said)
        found = f"not {', '.join(missing)}" if missing else "it did"
        yield Verdict(f"{name} logs {', '.join(events)}", not missing, found)


def _exits(scenario: Scenario, observation: Observation) -> Iterator[Verdict]:
    if scenario.expect.ends == "refused":
        return
    wanted = scenario.expect.exits
    given_up = scenario.expect.ends == "aborted"
    ends = [end for end in observation.endings if not _is_on_purpose(scenario, end)]
    bad = [end for end in ends if end.returncode != wanted.get(end.name, int(given_up))]
    alive = sorted(name for name, party in observation.parties.items() if party.running)
    found = [f"{end.name} ended with {end.returncode} at {end.activity!r}" for end in bad]
    found += [f"{name} was still running when the run was given up" for name in alive]
    found += [f"{name} never ended" for name in wanted if name not in {end.name for end in ends}]
    usual = f"every process that was not killed on purpose exits {int(given_up)}"
    others = ", ".join(f"{name} {code}" for name, code in sorted(wanted.items()))
    yield Verdict(f"{usual}, but {others}" if others else usual, not found, "; ".join(found) or "all did")


def _is_on_purpose(scenario: Scenario, ending: Ending) -> bool:
    """Return whether a fault of the scenario ended this start of a process."""
    if ending.fault is not None:
        return ending.returncode != 0
    # Whether such a start ended as it should is said where the kill is judged.
    return ending.returncode != 0 and ending.times <= len(scenario.phase_kills(ending.name))


def _metrics(scenario: Scenario, figures: Mapping[str, MarketFigures]) -> Iterator[Verdict]:
    means = macro_mean([market.methods for market in figures.values()])
    for method, floors in scenario.expect.metrics.items():
        for metric, floor in floors.items():
            found = means.get(method, {}).get(metric)
            holds = found is not None and found >= floor
            words = "nothing" if found is None else f"{found:.4f}"
            yield Verdict(f"{method} has a mean {metric} of at least {floor:g}", holds, words)


def _epsilon(scenario: Scenario, audit: AuditReport) -> Iterator[Verdict]:
    most = scenario.expect.max_epsilon
    if most is not None:
        costs = {} if audit.facts is None else audit.facts.costs
        spent = [cost.epsilon for cost in costs.values()]
        found = f"{max(spent):.3f}" if spent else "no privacy was accounted for"
        holds = len(spent) == len(scenario.markets) and max(spent) <= most
        yield Verdict(f"no market's users have more than epsilon {most:g}", holds, found)


def _memory(scenario: Scenario, usage: Mapping[str, MemoryUsage]) -> Iterator[Verdict]:
    bounds = scenario.expect.memory
    nodes = {name: used for name, used in usage.items() if name != COORDINATOR}
    coordinator = {name: used for name, used in usage.items() if name == COORDINATOR}
    for who, found, most in (
        ("the coordinator", coordinator, bounds.coordinator_bytes),
        ("every node", nodes, bounds.node_bytes),
    ):
        if most is not None:
            peak = max((used.peak_bytes for used in found.values()), default=0)
            words = f"{peak / 1e6:.0f} MB"
            yield Verdict(f"{who} stays below {most / 1e6:.0f} MB", 0 < peak <= most, words)
    if bounds.growth is not None:
        growths = {name: used.growth for name, used in usage.items() if used.growth is not None}
        worst = max(growths, key=lambda name: growths[name], default="")
        words = f"{worst} did most, {growths[worst]:.3f} times" if worst else "the run was too short to say"
        holds = bool(worst) and growths[worst] <= bounds.growth
        yield Verdict(f"no process grows more than {bounds.growth:g} times", holds, words)


def _sums(scenario: Scenario, wrong: Sequence[str] | None) -> Iterator[Verdict]:
    if scenario.expect.sums == "recomputed":
        expectation = "every sum is that of its survivors' updates, up to stochastic rounding"
        found = "it was not recomputed" if wrong is None else "; ".join(wrong[:3]) or "all are"
        yield Verdict(expectation, wrong == [], found)


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
