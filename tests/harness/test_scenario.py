from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fecosr.errors import ConfigError
from fecosr.harness.faults import Kill, failpoint
from fecosr.harness.scenario import Scenario, load_scenario, shipped_scenarios

MakeScenario = Callable[..., Scenario]

FILE = """\
name = "two markets"

[plan.run]
name = "test"
rounds = 2
seed = 1

[plan.cohort]
n_min = 2
max_colluding = 0

[plan.privacy]
mode = "none"

[plan.aggregation]
clip_norm = 5.0

[[markets]]
name = "alpha"
data = { kind = "csv", path = "data/alpha.csv" }

[[markets]]
name = "beta"
data = { kind = "csv", path = "/srv/beta.csv" }

[expect]
max_seconds = 20
"""


@pytest.fixture
def scenario_file(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(FILE)
    return path


def test_data_paths_count_from_the_folder_of_the_scenario(scenario_file: Path, tmp_path: Path) -> None:
    markets = load_scenario(scenario_file).by_name()

    paths = {name: market.data.path for name, market in markets.items()}
    assert paths == {"alpha": str(tmp_path / "data" / "alpha.csv"), "beta": "/srv/beta.csv"}


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "max_seconds = 20",
            "max_second = 20",
            ":26: expect.max_seconds: is missing",
        ),
        ("max_seconds = 20", 'max_seconds = 20\naudit = "maybe"', ":28: expect.audit: "),
        ("max_seconds = 20", 'max_seconds = 20\nmood = "good"', ":28: expect.mood: unknown key"),
        ("max_seconds = 20", "max_seconds = 0", ":27: expect.max_seconds: "),
        ("rounds = 2", "rounds = 2\nspeed = 9", ":6: plan.run.speed: unknown key"),
        ('mode = "none"', "", "plan.privacy: 'mode' is missing"),
        ('name = "beta"', 'name = "alpha"', "two markets are called alpha"),
        ('name = "beta"', 'name = "logs"', "no market can be called 'logs'"),
        ("n_min = 2", "n_min = 3", "there are 2 markets: no round could open"),
        ("[expect]", "[[expect]]", "expect"),
    ],
)
def test_an_unusable_scenario_is_refused_in_one_line_that_says_where(
    scenario_file: Path, old: str, new: str, complaint: str
) -> None:
    scenario_file.write_text(FILE.replace(old, new, 1))

    with pytest.raises(ConfigError, match=complaint) as refused:
        load_scenario(scenario_file)

    assert "\n" not in str(refused.value)
    assert str(scenario_file) in str(refused.value)


def kill(target: str, number: int, phase: str = "masked_input", restart: bool = True) -> dict[str, Any]:
    return {"kind": "kill", "target": target, "round": number, "phase": phase, "restart": restart}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"faults": [kill("omega", 1)]}, "there is no market 'omega'"),
        ({"faults": [kill("beta", 3)]}, "there is no round 3"),
        ({"faults": [kill("beta", 1, restart=False), kill("beta", 2)]}, "killed again without having been"),
        ({"faults": [kill("beta", 1, "lunch")]}, "faults.0.phase"),
        ({"faults": [{**kill("beta", 1), "kind": "freeze"}]}, "faults.0: kind = 'freeze' is none of 'kill'"),
        ({"expect": {"max_seconds": 9, "dropouts": {"1": ["omega"]}}}, "there is no market 'omega'"),
        ({"expect": {"max_seconds": 9, "fine_tuned": ["omega"]}}, "there is no market 'omega'"),
    ],
)
def test_faults_and_expectations_must_speak_of_what_there_is(
    make_scenario: MakeScenario, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        make_scenario(**changes)


def test_a_fault_is_a_failpoint() -> None:
    assert failpoint(Kill(**kill("beta", 3))) == "masked_input@3=kill"


def test_who_drops_out_follows_from_the_faults(make_scenario: MakeScenario) -> None:
    faults = [
        kill("beta", 1, "training"),
        kill("alpha", 1),
        kill("gamma", 2, "unmask"),
        kill("coordinator", 2),
    ]

    # Killed at unmasking, gamma has delivered its masked vector: it is in the sum.
    assert make_scenario(faults=faults).expected_dropouts() == {1: ("alpha", "beta")}


def test_who_drops_out_can_be_stated_instead(make_scenario: MakeScenario) -> None:
    stated = make_scenario(expect={"max_seconds": 9, "dropouts": {"2": ["gamma", "beta"], "1": []}})

    assert stated.expected_dropouts() == {2: ("beta", "gamma")}


def test_a_market_that_stays_dead_owes_no_figures(make_scenario: MakeScenario) -> None:
    assert make_scenario(faults=[kill("beta", 1, restart=False)]).expected_reports() == ("alpha", "gamma")
    assert make_scenario(expect={"max_seconds": 9, "fine_tuned": ["beta"]}).expected_reports() == ("beta",)


BASE = """\
name = "over a base"
base = "base.toml"

[plan.run]
rounds = 1

[expect]
audit = "skipped"
"""


def test_a_base_is_taken_from_and_overruled_key_by_key(scenario_file: Path, tmp_path: Path) -> None:
    scenario_file.rename(tmp_path / "base.toml")
    over = tmp_path / "over.toml"
    over.write_text(BASE)

    scenario = load_scenario(over)

    assert (scenario.name, scenario.plan.run.rounds, scenario.plan.run.seed) == ("over a base", 1, 1)
    assert (scenario.expect.audit, scenario.expect.max_seconds) == ("skipped", 20)
    assert [market.name for market in scenario.markets] == ["alpha", "beta"]


def test_a_base_is_found_and_has_none_itself(scenario_file: Path, tmp_path: Path) -> None:
    over = tmp_path / "over.toml"
    over.write_text(BASE)
    with pytest.raises(ConfigError, match=r"base\.toml: cannot be read"):
        load_scenario(over)
    (tmp_path / "base.toml").write_text(BASE)
    with pytest.raises(ConfigError, match="a base has none itself"):
        load_scenario(over)
    over.write_text(BASE.replace('"base.toml"', "3"))
    with pytest.raises(ConfigError, match="base: is not a path"):
        load_scenario(over)


PARTITION = {"kind": "partition", "target": "beta", "round": 1, "phase": "unmask", "for_seconds": 1.0}
LIE = {"kind": "lie", "lie": "no_quorum", "target": "beta", "accomplice": "alpha"}
STORM = {"kind": "storm", "every_seconds": 5.0, "seed": 1}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"faults": [{**PARTITION, "at_seconds": 1.0}]}, "say when: round and phase together, or at_seconds"),
        ({"faults": [{**PARTITION, "phase": None}]}, "say when"),
        ({"faults": [{**PARTITION, "for_seconds": 0}]}, "faults.0.for_seconds"),
        ({"faults": [{**PARTITION, "round": 9}]}, "there is no round 9"),
        ({"faults": [{**STORM, "targets": ["omega"]}]}, "there is no market 'omega'"),
        ({"faults": [{**LIE, "lie": "flattery"}]}, "lie is one of alive_and_dropped"),
        ({"faults": [{**LIE, "accomplice": "beta"}]}, "accomplice must be another market"),
        ({"faults": [LIE, LIE]}, "one lie at a time"),
        ({"faults": [LIE], "expect": {"max_seconds": 9}}, "a coordinator that lies keeps nothing"),
        ({"expect": {"max_seconds": 9, "ends": "refused"}}, "expect.refusals: is needed"),
        ({"expect": {"max_seconds": 9, "exits": {"omega": 2}}}, "there is no market 'omega'"),
        ({"expect": {"max_seconds": 9, "memory": {"growth": 0}}}, "expect.memory.growth"),
        ({"expect": {"max_seconds": 9, "metrics": {"fecosr": {"ndcg@11": 0.1}}}}, "expect.metrics.fecosr"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused_by_name(
    make_scenario: MakeScenario, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        make_scenario(**changes)


def test_where_faults_leave_open_who_drops_out_nothing_is_implied(make_scenario: MakeScenario) -> None:
    assert make_scenario(faults=[PARTITION]).expected_dropouts() is None
    assert make_scenario(faults=[STORM]).expected_dropouts() is None
    stated = {"max_seconds": 9, "dropouts": {}}
    assert make_scenario(faults=[PARTITION], expect=stated).expected_dropouts() == {}


@pytest.mark.parametrize("name", sorted(set(shipped_scenarios()) - {"xmarket"}))
def test_every_shipped_scenario_can_be_used_and_says_what_it_is_about(name: str) -> None:
    scenario = load_scenario(shipped_scenarios()[name])
    assert scenario.name == name
    assert scenario.description.endswith(".")
