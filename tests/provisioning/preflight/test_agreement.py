from dataclasses import replace

import pytest

from fecosr.config.plan import load_plan
from fecosr.errors import LedgerError
from fecosr.ids import RunId
from fecosr.provisioning.preflight.agreement import check_earlier_state, check_plan, check_policy
from fecosr.provisioning.preflight.findings import Level
from fecosr.provisioning.preflight.kit import Kit, read_kit
from fecosr.storage.run_store import RunStore
from tests.reference.audited_run import make_run


def test_the_plan_hash_is_there_to_be_compared(node: Kit, coordinator: Kit) -> None:
    plan = load_plan(node.config.plan).hash()
    assert [next(check_plan(kit)).message for kit in (node, coordinator)] == [
        f"run spring has the hash {plan.hex()}; compare it with the other parties'"
    ] * 2
    assert next(check_plan(replace(node, expected_plan=plan))).level is Level.OK
    other = next(check_plan(replace(node, expected_plan=bytes(32))))
    assert (other.level, "older package" in other.remedy) == (Level.FAILURE, True)


def test_too_few_markets_for_the_plan_are_found(node: Kit) -> None:
    text = node.config.plan.read_text()
    node.config.plan.write_text(text.replace("n_min = 2", "n_min = 3"))
    assert next(check_plan(node)).message == "needs 3 markets, the roster has 2"


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("n_min = 2", "n_min = 9", "n_min 2 is below this market's 9"),
        ("max_rounds = 4", "max_rounds = 3", "round 4 is beyond this market's 3"),
        ("max_clip_norm = 5.0", "max_clip_norm = 1.0", "clip_norm 5.0 is above this market's 1.0"),
    ],
)
def test_a_policy_that_would_refuse_the_plan_is_found_before_the_run(
    node: Kit, old: str, new: str, rule: str
) -> None:
    path = node.folder / "node.toml"
    path.write_text(path.read_text().replace(old, new))
    found = next(check_policy(read_kit(node.folder, node.now)))
    assert (found.level, found.message) == (Level.FAILURE, f"this market would refuse the plan: {rule}")


def test_a_policy_that_follows_the_plan_is_well_and_a_coordinator_has_none(
    node: Kit, coordinator: Kit
) -> None:
    assert next(check_policy(node)).level is Level.OK
    assert list(check_policy(coordinator)) == []


def test_a_new_run_begins_in_an_empty_folder(node: Kit, coordinator: Kit) -> None:
    for kit in (node, coordinator):
        found = next(check_earlier_state(kit))
        assert (found.level, found.message.endswith("empty, a new run begins")) == (Level.OK, True)


def test_state_of_another_run_is_found_at_both_ends(node: Kit, coordinator: Kit) -> None:
    coordinator.config.storage.mkdir()
    lines, _ = make_run().signed(make_run().bodies)
    (coordinator.config.storage / "ledger.jsonl").write_bytes(b"".join(lines))
    node.config.storage.mkdir()
    RunStore(node.config.storage / "node.sqlite", RunId("trial")).close()
    for kit in (node, coordinator):
        found = next(check_earlier_state(kit))
        assert found.level is Level.FAILURE
        assert "holds run trial, the plan is of spring" in found.message


def test_another_plan_under_the_same_name_is_found(coordinator: Kit) -> None:
    coordinator.config.storage.mkdir()
    lines, _ = make_run().signed(make_run().bodies)
    (coordinator.config.storage / "ledger.jsonl").write_bytes(b"".join(lines))
    text = coordinator.config.plan.read_text()
    coordinator.config.plan.write_text(text.replace('name = "spring"', 'name = "trial"'))
    assert "was begun with another plan" in next(check_earlier_state(coordinator)).message


def test_the_state_of_this_run_goes_on(node: Kit) -> None:
    node.config.storage.mkdir()
    with RunStore(node.config.storage / "node.sqlite", RunId("spring")):
        found = next(check_earlier_state(node))
    assert (found.level, found.message.endswith("goes on with run spring")) == (Level.OK, True)


def test_a_damaged_ledger_is_an_error_and_a_torn_first_line_is_none(coordinator: Kit) -> None:
    coordinator.config.storage.mkdir()
    ledger = coordinator.config.storage / "ledger.jsonl"
    ledger.write_bytes(b'{"seq": 0')
    assert "a new run begins" in next(check_earlier_state(coordinator)).message
    ledger.write_bytes(b"nonsense\n")
    with pytest.raises(LedgerError):
        next(check_earlier_state(coordinator))
