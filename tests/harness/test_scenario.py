from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fecosr.errors import ConfigError
from fecosr.harness.scenario import Fault, Scenario, load_scenario

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
        ({"faults": [{**kill("beta", 1), "kind": "freeze"}]}, "faults.0.kind"),
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
    assert Fault(**kill("beta", 3)).failpoint() == "masked_input@3=kill"


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
