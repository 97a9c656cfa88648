from pathlib import Path

import pytest

from fecosr.data.settings import demo_markets
from fecosr.errors import ConfigError, DataError
from fecosr.harness.compare.settings import settings_for
from fecosr.harness.demo import demo_scenario, fresh_run_folder


def test_the_demo_runs_the_built_in_markets() -> None:
    scenario = demo_scenario()

    assert tuple((market.name, market.data) for market in scenario.markets) == demo_markets()
    assert len(scenario.markets) >= 4
    assert [(fault.target, fault.round, fault.restart) for fault in scenario.phase_kills()] == [
        ("east", 3, True)
    ]
    assert scenario.expect.audit == "verified"
    assert scenario.expect.max_seconds < 300


@pytest.mark.parametrize(("rounds", "killed_in"), [(1, 1), (2, 2), (9, 3)])
def test_fewer_rounds_bring_the_kill_forward(rounds: int, killed_in: int) -> None:
    scenario = demo_scenario(rounds=rounds)

    assert (scenario.plan.run.rounds, scenario.phase_kills()[0].round) == (rounds, killed_in)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("ca", "de", "fr")):
        rows = [f"{name}{user} item{item} 5.0 2016-01-0{item + 1}" for user in range(9) for item in range(6)]
        shared = [f"both item{item} 5.0 2016-01-0{item + 1}" for item in range(6 - number)]
        text = "\n".join(["userId itemId rate date", *rows, *shared])
        (tmp_path / f"{name}_5core.txt").write_text(text + "\n")
    return tmp_path


def test_the_demo_takes_its_markets_from_a_folder(folder: Path) -> None:
    scenario = demo_scenario(folder, rounds=5)

    assert [market.name for market in scenario.markets] == ["ca", "de", "fr"]
    assert [market.data.exclude_users for market in scenario.markets] == [(), ("both",), ("both",)]
    assert all(Path(market.data.path).is_absolute() for market in scenario.markets)
    assert (scenario.phase_kills()[0].target, scenario.plan.run.rounds) == ("fr", 5)


def test_data_without_titles_are_learned_as_a_comparison_learns_them(folder: Path) -> None:
    scenario = demo_scenario(folder)

    settings = settings_for(tuple((market.name, market.data) for market in scenario.markets))
    assert scenario.plan.semantics == settings.semantics
    assert scenario.plan.semantics.kind == "behaviour"
    assert (scenario.plan.s2ce, scenario.plan.fine_tuning) == (settings.s2ce, settings.fine_tuning)
    for market in scenario.markets:
        assert market.report.local_training == settings.local_baseline
        assert market.policy_under(scenario.plan).release_sketch


def test_data_with_titles_are_learned_from_their_titles(tmp_path: Path) -> None:
    for name in ("ca", "de", "fr"):
        rows = [f"{name}{user},i{item},{item},A lamp" for user in range(9) for item in range(6)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["user,item,timestamp,title", *rows]) + "\n")
    plan = demo_scenario(tmp_path).plan
    assert plan.semantics.kind == "hashed_ngrams"
    assert plan.sketch_terms() is None


def test_a_folder_without_markets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no market"):
        demo_scenario(tmp_path)


def test_too_few_markets_are_refused(folder: Path) -> None:
    (folder / "fr_5core.txt").unlink()

    with pytest.raises(ConfigError, match="there are 2 markets: no round could open"):
        demo_scenario(folder)


def test_a_run_folder_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "demo-1").mkdir()

    assert fresh_run_folder(tmp_path) == tmp_path / "demo-2"
    assert fresh_run_folder(tmp_path / "runs") == tmp_path / "runs" / "demo-1"
