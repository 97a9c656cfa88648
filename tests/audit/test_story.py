"""What a lying coordinator can write: flawless chains and signatures, and a story that is not true."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.audit.findings import Finding, Status
from fecosr.audit.verification import audit_run
from fecosr.ledger.records import (
    Body,
    CoordinatorRestarted,
    RoundAborted,
    RoundOpened,
    RoundReleased,
    RunAborted,
    RunCompleted,
    SurvivorsFixed,
    UnmaskingBegun,
)
from tests.reference.audited_run import JP, AuditedRun, attempt_bodies, rules_of, signed

Write = Callable[..., tuple[Finding, ...]]


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
        assert "order" in rules_of(report.findings)


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
    assert rules_of(findings)[:2] == ["order", "order"]


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
    assert rules_of(findings) == ["numbering"]


def test_nothing_may_follow_the_end(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.bodies, CoordinatorRestarted(2, 0))
    assert rules_of(findings) == ["order"]


def test_a_run_that_was_given_up_is_a_whole_story(honest: AuditedRun, audited: Write) -> None:
    place = next(p for p, body in enumerate(honest.bodies) if isinstance(body, RoundReleased)) + 1
    assert audited(*honest.bodies[:place], RunAborted(1, "too_few_inputs")) == ()


def test_a_run_does_not_end_in_the_middle_of_an_attempt(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.bodies[:2], RunAborted(0, "too_few_inputs"))
    assert rules_of(findings) == ["order"]


def test_skipped_rounds_and_attempts_are_found(honest: AuditedRun, audited: Write) -> None:
    def lie(body: RoundOpened) -> RoundOpened:
        manifest = replace(body.manifest, attempt=7)
        return signed(replace(body, attempt=7, manifest=manifest), honest.coordinator)

    assert rules_of(audited(*honest.replaced(RoundOpened, lie)))[0] == "numbering"


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
    assert rules_of(audited(*honest.replaced(RunCompleted, ending))) == [rule]


def test_a_run_that_stopped_early_is_not_completed(honest: AuditedRun, audited: Write) -> None:
    place = next(p for p, body in enumerate(honest.bodies) if isinstance(body, RoundReleased))
    released = honest.bodies[place]
    assert isinstance(released, RoundReleased)
    findings = audited(*honest.bodies[: place + 1], RunCompleted(1, released.model_out))
    assert rules_of(findings) == ["run_completed"]
    assert "after 1 of 2 rounds" in findings[0].message


def _opened_twice(honest: AuditedRun, leaving: str | None, *, unmasked: bool) -> list[Body]:
    """Return records in which a sum over a model may have been opened before it is asked for again."""
    place = next(p for p, body in enumerate(honest.bodies) if isinstance(body, RoundAborted))
    opening = honest.bodies[1]
    assert isinstance(opening, RoundOpened)
    cohort, survivors, begun, _ = attempt_bodies(
        opening, honest.identities, bytes(32), JP if leaving else None
    )
    before: list[Body] = [cohort, survivors, begun] if unmasked else [cohort, survivors]
    ended = RoundAborted(1, 1, "too_few_unmask_shares", "1 of 3.", unmasked)
    return [*honest.bodies[:2], *before, ended, *honest.bodies[place + 1 :]]


def test_two_sums_over_one_model_may_not_differ_in_a_few_markets(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*_opened_twice(honest, None, unmasked=True))
    assert rules_of(findings) == ["differencing"]
    assert "differ in jp only" in findings[0].message


def test_the_same_sum_may_be_asked_for_again(honest: AuditedRun, audited: Write) -> None:
    assert audited(*_opened_twice(honest, JP, unmasked=True)) == ()


def test_an_attempt_that_opened_nothing_does_not_count(honest: AuditedRun, audited: Write) -> None:
    assert audited(*_opened_twice(honest, None, unmasked=False)) == ()


def test_an_opened_sum_cannot_be_played_down(honest: AuditedRun, audited: Write) -> None:
    told = _opened_twice(honest, JP, unmasked=True)
    denied = [replace(body, unmasked=False) if isinstance(body, RoundAborted) else body for body in told]
    assert "order" in rules_of(audited(*denied))


def test_unmasking_is_of_the_session_whose_survivors_were_fixed(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.replaced(UnmaskingBegun, lambda b: replace(b, session=bytes(32))))
    assert rules_of(findings) == ["session"]


def test_a_sum_is_not_released_before_its_unmasking_was_recorded(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*(body for body in honest.bodies if not isinstance(body, UnmaskingBegun)))
    assert rules_of(findings)[0] == "order"


def test_nothing_can_be_unmasked_before_the_survivors_are_fixed(honest: AuditedRun, audited: Write) -> None:
    findings = audited(*honest.replaced(RoundAborted, lambda b: replace(b, unmasked=True)))
    assert "order" in rules_of(findings)
