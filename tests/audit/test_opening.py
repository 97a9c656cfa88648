"""What a lying coordinator can write into the first record."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from fecosr.audit.findings import Finding
from fecosr.ledger.records import (
    RunOpened,
)
from tests.reference.audited_run import JP, AuditedRun, rules_of

Write = Callable[..., tuple[Finding, ...]]


OPENED: dict[str, tuple[Callable[[RunOpened], RunOpened], str]] = {
    "plan text": (lambda b: replace(b, plan_json=b.plan_json.replace('"seed":3', '"seed":4')), "plan"),
    "plan hash": (lambda b: replace(b, plan_hash=bytes(32)), "plan"),
    "plan of another run": (
        lambda b: replace(b, plan_json=b.plan_json.replace('"trial"', '"other"')),
        "plan",
    ),
    "plan without n_min": (lambda b: replace(b, plan_json=b.plan_json.replace("n_min", "n_max")), "plan"),
    "plan that is no JSON": (lambda b: replace(b, plan_json="{"), "plan"),
    "plan with a key twice": (
        lambda b: replace(b, plan_json=b.plan_json.replace('"seed":3', '"rounds":9,"seed":3')),
        "plan",
    ),
    "plan with text for a number": (
        lambda b: replace(b, plan_json=b.plan_json.replace('"n_min":3', '"n_min":"3"')),
        "plan",
    ),
    "plan with true for a number": (
        lambda b: replace(b, plan_json=b.plan_json.replace('"n_min":3', '"n_min":true')),
        "plan",
    ),
    "plan that hides nobody": (
        lambda b: replace(b, plan_json=b.plan_json.replace('"n_min":3', '"n_min":2')),
        "plan",
    ),
    "coordinator": (lambda b: replace(b, coordinator=bytes(32)), "roster"),
    "a market less": (lambda b: replace(b, roster={k: v for k, v in b.roster.items() if k != JP}), "roster"),
    "a market's key": (lambda b: replace(b, roster={**b.roster, JP: bytes(32)}), "roster"),
    "clip norm": (lambda b: replace(b, privacy=replace(b.privacy, clip_norm=99.0)), "privacy_terms"),
    "initial model": (lambda b: replace(b, initial_model_hash=bytes(32)), "model_chain"),
    "number of parameters": (lambda b: replace(b, num_parameters=6), "manifest"),
}


@pytest.mark.parametrize("lie", OPENED)
def test_a_lie_in_the_opening_is_found(honest: AuditedRun, audited: Write, lie: str) -> None:
    change, rule = OPENED[lie]
    assert rule in rules_of(audited(*honest.replaced(RunOpened, change)))
