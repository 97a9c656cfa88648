"""What a private run cost, recomputed from its folder; every lie about it is named with its record."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import norm

from fecosr.audit.privacy_report import privacy_report
from fecosr.audit.report import render
from fecosr.audit.verification import audit_run
from fecosr.federation.run import FederationRun, run_federation
from fecosr.ids import NodeId
from fecosr.ledger.log import append, encode_entry, genesis
from fecosr.ledger.records import Body, RoundReleased, SurvivorsFixed
from fecosr.privacy.accounting import pld_epsilon
from fecosr.privacy.budget import BudgetRecord, Charged, TakenBack
from fecosr.storage.spending_store import SPENDING_FILE, encode_record
from tests.reference.audited_run import rules_of
from tests.reference.private_federation import LOCAL, PRIVACY, PrivateFederation
from tests.reference.run_folder import keep

ROUNDS = 3
DE = NodeId("de")


@pytest.fixture(scope="module", params=[PRIVACY, LOCAL], ids=["distributed", "local"])
def federation(request: pytest.FixtureRequest) -> PrivateFederation:
    # Without sampling the cost has a closed form.
    everybody = replace(request.param, sampling_probability=1.0)
    return PrivateFederation(accountants={"pld": pld_epsilon}, privacy=everybody, rounds=ROUNDS)


@pytest.fixture(scope="module")
def run(federation: PrivateFederation) -> FederationRun:
    small = federation.small
    return run_federation(small.setup, federation.nodes(), small.initial, federation.train, small.entropy)


@pytest.fixture
def folder(federation: PrivateFederation, run: FederationRun, tmp_path: Path) -> Path:
    keep(federation.small, run, tmp_path)
    return tmp_path


def changed(
    run: FederationRun,
    federation: PrivateFederation,
    folder: Path,
    kind: type[Body],
    change: Callable[[Any], Body],
) -> int:
    """Sign a ledger anew in which the first record of a kind is another; return its place."""
    log, lines, place = genesis(federation.small.plan.run), list[bytes](), -1
    for entry in run.ledger:
        body = entry.body
        if place < 0 and isinstance(body, kind):
            place, body = entry.seq, change(body)
        signed, log = append(log, body, federation.small.coordinator_key)
        lines.append(encode_entry(signed) + b"\n")
    (folder / "coordinator" / "ledger.jsonl").write_bytes(b"".join(lines))
    return place


def gaussian_epsilon(noise_multiplier: float, count: int, delta: float) -> float:
    """Return epsilon of the composed Gaussian mechanism by its closed form (Balle and Wang 2018)."""
    mu = math.sqrt(count) / noise_multiplier
    low, high = 0.0, 100.0
    for _ in range(100):
        epsilon = (low + high) / 2
        spent = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
        low, high = (epsilon, high) if spent > delta else (low, epsilon)
    return high


def test_an_honest_run_verifies_and_both_accountants_say_what_it_cost(
    federation: PrivateFederation, folder: Path
) -> None:
    report = audit_run(folder)

    assert report.findings == ()
    is_local = federation.privacy.mode == "local"
    times = ROUNDS * (LOCAL.steps if is_local else 1)
    independent = gaussian_epsilon(PRIVACY.noise_multiplier, times, PRIVACY.delta)
    for entry in report.as_json()["privacy"]:  # type: ignore[attr-defined]
        assert entry["epsilon"] == pytest.approx(independent, rel=0.02)
        assert entry["epsilon"] == max(entry["accountants"].values())
        assert entry["accountants"].keys() == {"pld", "prv"}
        assert (entry["mode"], entry["privacy_unit"]) == (federation.privacy.mode, "user")
        assert entry["neighboring_relation"] == "add_or_remove_one"
        assert (entry["delta"], entry["budget"]) == (PRIVACY.delta, PRIVACY.epsilon)
    text = render(report)
    assert "Any one customer of any market is protected with epsilon" in text
    assert "unbounded" not in text
    said = str(privacy_report(report)["statement"])
    assert ("against everybody outside their own market, even if all the others act" in said) is is_local
    assert ("the coordinator with all it saw, alone and together with any 1 other" in said) is not is_local
    assert ("in league with the coordinator" in text) is not is_local


def test_an_epsilon_edited_in_the_report_is_found_and_named(folder: Path) -> None:
    statement = privacy_report(audit_run(folder))
    path = folder / "privacy_report.json"
    path.write_text(json.dumps(statement), encoding="utf-8")
    assert audit_run(folder).verified

    statement["privacy"][1]["epsilon"] *= 0.99  # type: ignore[index]
    path.write_text(json.dumps(statement), encoding="utf-8")
    report = audit_run(folder)
    assert report.status.exit_code == 1
    assert rules_of(report.findings) == ["privacy_report"]
    assert report.findings[0].record is not None
    assert "fr: epsilon" in report.findings[0].message or "epsilon" in report.findings[0].message


@pytest.mark.parametrize("text", ["", "[]", '{"privacy": [{}]}', '{"privacy": 3}'])
def test_a_report_that_cannot_be_read_is_no_pass(folder: Path, text: str) -> None:
    (folder / "privacy_report.json").write_text(text, encoding="utf-8")
    assert "privacy_report" in rules_of(audit_run(folder).findings)


def test_a_round_beyond_the_budget_is_named(
    federation: PrivateFederation, run: FederationRun, folder: Path
) -> None:
    """Markets that all lie together: their accounts hold a budget of more rounds than the plan's."""
    charged = [record for record in run.records[DE] if isinstance(record, Charged)]
    affordable = 1
    while pld_epsilon({charged[0].charge.event: affordable + 1}, PRIVACY.delta) <= PRIVACY.epsilon:
        affordable += 1
    more = [
        Charged(replace(charged[0].charge, name=f"round 9 attempt {number}"))
        for number in range(1, affordable)
    ]
    lines = [encode_record(record) + b"\n" for record in (*charged, *more)]
    (folder / "de" / SPENDING_FILE).write_bytes(b"".join(lines))

    report = audit_run(folder)
    assert report.status.exit_code == 1
    (found,) = report.findings
    assert found.rule == "budget"
    assert found.record == len(run.ledger) - 1
    assert "de past its privacy budget of epsilon 8" in found.message


def test_a_vector_without_a_charge_is_found(run: FederationRun, folder: Path) -> None:
    records = [record for record in run.records[DE] if isinstance(record, Charged)]
    kept: list[BudgetRecord] = [*records, TakenBack(records[1].charge.name)]
    (folder / "de" / SPENDING_FILE).write_bytes(b"".join(encode_record(line) + b"\n" for line in kept))

    (found,) = audit_run(folder).findings
    place = [entry.seq for entry in run.ledger if isinstance(entry.body, SurvivorsFixed)][1]
    assert (found.rule, found.record) == ("privacy_account", place)


def test_an_account_that_is_missing_or_damaged_is_no_pass(folder: Path) -> None:
    path = folder / "de" / SPENDING_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    assert rules_of(audit_run(folder).findings)[0] == "privacy_account"
    path.write_bytes(whole.replace(b"charged", b"changed"))
    assert rules_of(audit_run(folder).findings)[0] == "privacy_account"
    path.unlink()
    report = audit_run(folder)
    assert rules_of(report.findings) == ["privacy_account"]
    assert report.status.exit_code == 2


@pytest.mark.parametrize("change", [{"share_variance": 1 << 50}, {"steps": 2}])
def test_a_release_that_states_another_event_is_found(
    federation: PrivateFederation, run: FederationRun, folder: Path, change: dict[str, Any]
) -> None:
    def cheaper(released: RoundReleased) -> RoundReleased:
        assert released.privacy_event is not None
        event = replace(released.privacy_event, **change)
        return replace(released, privacy_event=event)

    place = changed(run, federation, folder, RoundReleased, cheaper)
    found = {(finding.rule, finding.record) for finding in audit_run(folder).findings}
    assert ("privacy_event", place) in found
