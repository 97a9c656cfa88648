"""What a lying coordinator can write: flawless chains and signatures, and a content that is not true."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.audit.findings import Finding, Status
from fecosr.audit.verification import audit_run
from fecosr.ids import NodeId
from fecosr.ledger.records import (
    Body,
    CohortFixed,
    CoordinatorRestarted,
    RoundAborted,
    RoundOpened,
    RoundReleased,
    RunAborted,
    RunCompleted,
    RunOpened,
    SurvivorsFixed,
)
from tests.reference.audited_run import DE, FR, JP, MARKETS, AuditedRun, attempt_bodies, signed

ZZ = NodeId("zz")

Write = Callable[..., tuple[Finding, ...]]


@pytest.fixture
def audited(honest: AuditedRun, tmp_path: Path) -> Write:
    """Return a function that writes records as a run folder everybody vouches for, and audits it."""

    def write(*bodies: Body) -> tuple[Finding, ...]:
        honest.write(tmp_path / "run", bodies)
        report = audit_run(tmp_path / "run")
        assert report.verified == (not report.findings)
        return report.findings

    return write


def _rules(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.rule for finding in findings]


def test_the_honest_records_are_in_order(honest: AuditedRun, audited: Write) -> None:
    assert audited(*honest.bodies) == ()


def test_no_record_may_be_left_out(honest: AuditedRun, tmp_path: Path) -> None:
    optional = CoordinatorRestarted
    for place, body in enumerate(honest.bodies):
        if isinstance(body, optional):
            continue
        rest = [*honest.bodies[:place], *honest.bodies[place + 1 :]]
        honest.write(tmp_path / str(place), rest)
        assert not audit_run(tmp_path / str(place)).verified, body


def test_no_record_may_be_repeated(honest: AuditedRun, tmp_path: Path) -> None:
    for place, body in enumerate(honest.bodies):
        if isinstance(body, CoordinatorRestarted):
            continue
        honest.write(tmp_path / str(place), [*honest.bodies[: place + 1], *honest.bodies[place:]])
        report = audit_run(tmp_path / str(place))
        assert report.status is Status.NOT_VERIFIED
        assert "order" in _rules(report.findings)


def test_no_two_neighbours_may_change_places(honest: AuditedRun, tmp_path: Path) -> None:
    for place in range(len(honest.bodies) - 1):
        bodies = list(honest.bodies)
        bodies[place], bodies[place + 1] = bodies[place + 1], bodies[place]
        if isinstance(bodies[place], RoundAborted):
            # A coordinator that stops right after an abort comes back after it, with the same numbers.
            continue
        honest.write(tmp_path / str(place), bodies)
        assert not audit_run(tmp_path / str(place)).verified, bodies[place]


def test_a_round_is_released_once(honest: AuditedRun, audited: Write) -> None:
    place = next(p for p, body in enumerate(honest.bodies) if isinstance(body, RoundReleased))
    findings = audited(*honest.bodies[: place + 1], *honest.bodies[place:])
    assert [(finding.record, finding.rule) for finding in findings] == [(place + 1, "order")]
    assert "release of round 1 attempt 2" in findings[0].message


def test_nothing_goes_on_after_a_restart_but_the_abort(honest: AuditedRun, audited: Write) -> None:
    place = next(p for p, body in enumerate(honest.bodies) if isinstance(body, SurvivorsFixed))
    findings = audited(*honest.bodies[:place], CoordinatorRestarted(1, 2), *honest.bodies[place:])
    assert _rules(findings)[:2] == ["order", "order"]


def test_a_restart_between_rounds_is_in_order(honest: AuditedRun, audited: Write) -> None:
    place = next(p for p, body in enumerate(honest.bodies) if isinstance(body, RoundReleased)) + 1
    again = (CoordinatorRestarted(1, 0), CoordinatorRestarted(1, 0))
    assert audited(*honest.bodies[:place], *again, *honest.bodies[place:]) == ()


@pytest.mark.parametrize("numbers", [(1, 1), (2, 1), (1, 2), (0, 0), (2, 0)])
def test_a_restart_names_where_the_run_was(
    honest: AuditedRun, audited: Write, numbers: tuple[int, int]
) -> None:
    place = next(p for p, body in enumerate(honest.bodies) if isinstance(body, RoundReleased)) + 1
    findings = audited(*honest.bodies[:place], CoordinatorRestarted(*numbers), *honest.bodies[place:])
    assert _rules(findings) == ["numbering"]


def test_nothing_may_follow_the_end(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.bodies, CoordinatorRestarted(2, 0))
    assert _rules(findings) == ["order"]


def test_a_run_that_was_given_up_is_a_whole_story(honest: AuditedRun, audited: Write) -> None:
    place = next(p for p, body in enumerate(honest.bodies) if isinstance(body, RoundReleased)) + 1
    assert audited(*honest.bodies[:place], RunAborted(1, "too_few_inputs")) == ()


def test_a_run_does_not_end_in_the_middle_of_an_attempt(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.bodies[:2], RunAborted(0, "too_few_inputs"))
    assert _rules(findings) == ["order"]


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
    assert rule in _rules(audited(*honest.replaced(RunOpened, change)))


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
    ],
)
def test_a_signed_manifest_that_is_not_the_plan_s_is_found(
    honest: AuditedRun, audited: Write, field: str, value: object
) -> None:
    def lie(body: RoundOpened) -> RoundOpened:
        manifest = replace(body.manifest, **{field: value})  # type: ignore[arg-type] # by name
        return signed(replace(body, manifest=manifest), honest.coordinator)

    rules = _rules(audited(*honest.replaced(RoundOpened, lie, which=1)))
    assert ("model_chain" if field == "model_hash" else "manifest") in rules
    assert "advert_signature" in rules


def test_a_manifest_that_was_not_signed_is_found(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.replaced(RoundOpened, lambda b: replace(b, manifest_signature=bytes(64))))
    assert _rules(findings) == ["manifest_signature"]


def test_a_market_outside_the_roster_is_found(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.replaced(RoundOpened, lambda b: replace(b, expected=(*b.expected, ZZ))))
    assert _rules(findings) == ["roster"]


def test_skipped_rounds_and_attempts_are_found(honest: AuditedRun, audited: Write) -> None:
    def lie(body: RoundOpened) -> RoundOpened:
        manifest = replace(body.manifest, attempt=7)
        return signed(replace(body, attempt=7, manifest=manifest), honest.coordinator)

    assert _rules(audited(*honest.replaced(RoundOpened, lie)))[0] == "numbering"


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
    assert set(_rules(audited(*honest.replaced(CohortFixed, change)))) >= rules


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

    assert rule in _rules(audited(*map(consistent, bodies)))


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
    assert rule in _rules(audited(*honest.replaced(RoundReleased, change)))


@pytest.mark.parametrize(
    ("ending", "rule"),
    [
        (lambda b: replace(b, rounds=3), "run_completed"),
        (lambda b: replace(b, final_model_hash=bytes(32)), "model_chain"),
        (lambda b: RunAborted(b.rounds - 1, "x"), "run_completed"),
    ],
)
def test_a_lie_about_the_end_is_found(
    honest: AuditedRun, audited: Write, ending: Callable[[RunCompleted], Body], rule: str
) -> None:
    assert _rules(audited(*honest.replaced(RunCompleted, ending))) == [rule]


def test_a_run_that_stopped_early_is_not_completed(honest: AuditedRun, audited: Write) -> None:
    place = next(p for p, body in enumerate(honest.bodies) if isinstance(body, RoundReleased))
    released = honest.bodies[place]
    assert isinstance(released, RoundReleased)
    findings = audited(*honest.bodies[: place + 1], RunCompleted(1, released.model_out))
    assert _rules(findings) == ["run_completed"]
    assert "plan has 2 rounds" in findings[0].message


def _opened_twice(honest: AuditedRun, leaving: str | None, *, unmasked: bool) -> list[Body]:
    """Return records in which a sum over a model may have been opened before it is asked for again."""
    place = next(p for p, body in enumerate(honest.bodies) if isinstance(body, RoundAborted))
    opening = honest.bodies[1]
    assert isinstance(opening, RoundOpened)
    cohort, survivors, _ = attempt_bodies(opening, honest.identities, bytes(32), JP if leaving else None)
    ended = RoundAborted(1, 1, "too_few_unmask_shares", "1 of 3.", unmasked)
    return [*honest.bodies[:2], cohort, survivors, ended, *honest.bodies[place + 1 :]]


def test_two_sums_over_one_model_may_not_differ_in_a_few_markets(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*_opened_twice(honest, None, unmasked=True))
    assert _rules(findings) == ["differencing"]
    assert "differ in jp only" in findings[0].message


def test_the_same_sum_may_be_asked_for_again(honest: AuditedRun, audited: Write) -> None:
    assert audited(*_opened_twice(honest, JP, unmasked=True)) == ()


def test_an_attempt_that_opened_nothing_does_not_count(honest: AuditedRun, audited: Write) -> None:
    assert audited(*_opened_twice(honest, None, unmasked=False)) == ()


def test_nothing_can_be_unmasked_before_the_survivors_are_fixed(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.replaced(RoundAborted, lambda b: replace(b, unmasked=True)))
    assert "order" in _rules(findings)
