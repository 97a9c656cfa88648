"""Every shipped scenario with the real binaries: all of them are slow, but for two."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fecosr.harness.observation import Observation
from fecosr.harness.recomputation import wrong_sums
from fecosr.harness.runner import run_scenario
from fecosr.harness.scenario import Scenario, load_scenario, shipped_scenarios
from fecosr.harness.warm_starts import WarmStarts

FAST = ("coordinator-killed-at-unmasking", "link-cut")
NOT_HERE = frozenset({"xmarket", "soak"})
"""A template, and what has a test of its own."""
SOAK_ROUNDS = int(os.environ.get("FECOSR_SOAK_ROUNDS", "20"))
PHASES = ("training", "advertise_keys", "share_keys", "masked_input", "consistency", "unmask")
pytestmark = pytest.mark.system


class Nobody:
    def show(self, observation: Observation) -> None:
        pass


@pytest.fixture(scope="module")
def starts() -> Iterator[WarmStarts]:
    with WarmStarts() as starts:
        yield starts


def failures(scenario: Scenario, out: Path, starts: WarmStarts) -> list[str]:
    outcome = run_scenario(scenario, out, Nobody(), spawn=starts.spawn)
    return [verdict.sentence() for verdict in outcome.verdicts if not verdict.holds]


def shipped(name: str) -> Scenario:
    return load_scenario(shipped_scenarios()[name])


@pytest.mark.parametrize("name", FAST)
def test_a_shipped_scenario_holds(name: str, tmp_path: Path, starts: WarmStarts) -> None:
    scenario = shipped(name)
    assert failures(scenario, tmp_path / "run", starts) == []
    # Other updates do not add up to the sums that were opened.
    run = scenario.plan.run.model_copy(update={"seed": scenario.plan.run.seed + 1})
    other = scenario.model_copy(update={"plan": scenario.plan.model_copy(update={"run": run})})
    assert [line.split(" is off")[0] for line in wrong_sums(other, tmp_path / "run")] == [
        f"round {number}" for number in range(1, run.rounds + 1)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(shipped_scenarios()) - NOT_HERE - set(FAST)))
def test_every_other_shipped_scenario_holds(name: str, tmp_path: Path, starts: WarmStarts) -> None:
    assert failures(shipped(name), tmp_path / "run", starts) == []


@pytest.mark.slow
def test_a_soak(tmp_path: Path, starts: WarmStarts) -> None:
    """FECOSR_SOAK_ROUNDS says how many rounds; the shipped scenario has 200."""
    scenario = shipped("soak")
    run = scenario.plan.run.model_copy(update={"rounds": SOAK_ROUNDS})
    plan = scenario.plan.model_copy(update={"run": run})
    assert failures(scenario.model_copy(update={"plan": plan}), tmp_path / "run", starts) == []


@pytest.mark.slow
@pytest.mark.parametrize("node", ["alpha", "beta", "gamma"])
@pytest.mark.parametrize("coordinator_phase", PHASES)
def test_coordinator_and_node_killed_in_one_round(
    coordinator_phase: str, node: str, tmp_path: Path, starts: WarmStarts
) -> None:
    """Each of six rounds kills the node at another point, and the coordinator always at the same one."""
    values = shipped("coordinator-killed-at-unmasking").model_dump()
    values["plan"]["run"]["rounds"] = len(PHASES)
    values["faults"] = [
        {"kind": "kill", "target": target, "round": number, "phase": phase, "restart": True}
        for number, node_phase in enumerate(PHASES, start=1)
        for target, phase in ((node, node_phase), ("coordinator", coordinator_phase))
    ]
    values["expect"] |= {"dropouts": "any", "min_survivors": 2, "abort_reasons": None, "sums": "recomputed"}
    assert failures(Scenario.model_validate(values), tmp_path / "run", starts) == []
