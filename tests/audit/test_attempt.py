"""What a lying coordinator can write about one attempt at a round."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from fecosr.audit.findings import Finding
from fecosr.ids import NodeId
from fecosr.ledger.records import (
    Body,
    CohortFixed,
    RoundOpened,
    RoundReleased,
    SurvivorsFixed,
)
from tests.reference.audited_run import DE, FR, JP, MARKETS, AuditedRun, rules_of, signed

ZZ = NodeId("zz")

Write = Callable[..., tuple[Finding, ...]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run", "other"),
        ("round", 2),
        ("attempt", 1),
        ("plan_hash", bytes(32)),
        ("model_hash", bytes(32)),
        ("num_parameters", 6),
        ("clip_norm", 2.500000001),
        ("num_summands", 5),
        ("n_min", 2),
        ("max_colluding", 0),
        ("ring_bits", 16),
    ],
)
def test_a_signed_manifest_that_is_not_the_plan_s_is_found(
    honest: AuditedRun, audited: Write, field: str, value: object
) -> None:
    def lie(body: RoundOpened) -> RoundOpened:
        manifest = replace(body.manifest, **{field: value})  # type: ignore[arg-type] # by name
        return signed(replace(body, manifest=manifest), honest.coordinator)

    rules = rules_of(audited(*honest.replaced(RoundOpened, lie, which=1)))
    assert ("model_chain" if field == "model_hash" else "manifest") in rules
    assert "advert_signature" in rules


def test_a_manifest_that_was_not_signed_is_found(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.replaced(RoundOpened, lambda b: replace(b, manifest_signature=bytes(64))))
    assert rules_of(findings) == ["manifest_signature"]


def test_a_market_outside_the_roster_is_found(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.replaced(RoundOpened, lambda b: replace(b, expected=(*b.expected, ZZ))))
    assert rules_of(findings) == ["roster"]


COHORT: dict[str, tuple[Callable[[CohortFixed], CohortFixed], set[str]]] = {
    "other keys": (
        lambda b: replace(b, adverts=(replace(b.adverts[0], mask_public=bytes(32)), *b.adverts[1:])),
        {"advert_signature", "session"},
    ),
    "one market's keys under another's name": (
        lambda b: replace(b, adverts=(replace(b.adverts[1], client=b.adverts[0].client), *b.adverts[1:])),
        {"advert_signature", "cohort", "session"},
    ),
    "an invented market": (
        lambda b: replace(b, adverts=(*b.adverts, replace(b.adverts[0], client=ZZ))),
        {"advert_signature", "cohort", "session"},
    ),
    "a market less": (lambda b: replace(b, adverts=b.adverts[1:]), {"session", "survivors"}),
    "another session": (lambda b: replace(b, session=bytes(32)), {"session"}),
}


@pytest.mark.parametrize("lie", COHORT)
def test_a_lie_about_the_cohort_is_found(honest: AuditedRun, audited: Write, lie: str) -> None:
    change, rules = COHORT[lie]
    assert set(rules_of(audited(*honest.replaced(CohortFixed, change)))) >= rules


SURVIVORS: dict[str, tuple[Callable[[SurvivorsFixed], SurvivorsFixed], str]] = {
    "one more": (lambda b: replace(b, survivors=MARKETS, dropouts={}), "consistency"),
    "one less": (
        lambda b: replace(b, survivors=b.survivors[1:], dropouts={DE: "x", JP: "x"}),
        "survivors",
    ),
    "a stranger": (lambda b: replace(b, survivors=(*b.survivors, ZZ)), "survivors"),
    "both at once": (lambda b: replace(b, dropouts={**b.dropouts, DE: "x"}), "survivors"),
    "unaccounted": (lambda b: replace(b, dropouts={}), "survivors"),
    "a stranger dropped": (lambda b: replace(b, dropouts={**b.dropouts, ZZ: "x"}), "survivors"),
    "another session": (lambda b: replace(b, session=bytes(32)), "session"),
}


@pytest.mark.parametrize("lie", SURVIVORS)
def test_a_lie_about_the_survivors_is_found(honest: AuditedRun, audited: Write, lie: str) -> None:
    change, rule = SURVIVORS[lie]
    bodies = honest.replaced(SurvivorsFixed, change)
    fixed = next(body for body in bodies if isinstance(body, SurvivorsFixed))

    def consistent(body: Body) -> Body:
        if isinstance(body, RoundReleased) and body.round == fixed.round:
            return replace(body, session=fixed.session, survivors=fixed.survivors)
        return body

    assert rule in rules_of(audited(*map(consistent, bodies)))


RELEASED: dict[str, tuple[Callable[[RoundReleased], RoundReleased], str]] = {
    "other survivors": (lambda b: replace(b, survivors=MARKETS), "survivors"),
    "no quorum": (lambda b: replace(b, consistency_signatures=b.consistency_signatures[1:]), "consistency"),
    "a forged signature": (
        lambda b: replace(
            b,
            consistency_signatures=(
                replace(b.consistency_signatures[0], signature=bytes(64)),
                *b.consistency_signatures[1:],
            ),
        ),
        "consistency",
    ),
    "one signature under two names": (
        lambda b: replace(
            b,
            consistency_signatures=(
                b.consistency_signatures[0],
                replace(b.consistency_signatures[0], client=FR),
                *b.consistency_signatures[2:],
            ),
        ),
        "consistency",
    ),
    "a signature of a dropout": (
        lambda b: replace(
            b,
            consistency_signatures=(
                *b.consistency_signatures[:2],
                replace(b.consistency_signatures[2], client=JP),
            ),
        ),
        "consistency",
    ),
    "another model before": (lambda b: replace(b, model_in=bytes(32)), "model_chain"),
    "another model after": (lambda b: replace(b, model_out=bytes(32)), "model_chain"),
}


@pytest.mark.parametrize("lie", RELEASED)
def test_a_lie_about_a_release_is_found(honest: AuditedRun, audited: Write, lie: str) -> None:
    change, rule = RELEASED[lie]
    assert rule in rules_of(audited(*honest.replaced(RoundReleased, change)))
