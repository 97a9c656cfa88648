"""When a run ends, with which model, and what a node makes of a coordinator that says otherwise."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.errors import ProtocolViolation
from fecosr.federation.ending import EarlyStopping, Schedule, best_round, check_ending, check_model
from fecosr.federation.messages import Release, RoundManifest, RunClosed
from fecosr.ids import RunId
from fecosr.ledger.checkpoint import growth
from fecosr.ledger.log import append, genesis
from fecosr.ledger.records import RunCompleted

RUN = RunId("test")
KEY = SigningKey(bytes(32))
BEFORE = genesis(RUN).with_line(b"the first record").with_line(b"the last record but one")
NOTHING = growth(BEFORE, 0, KEY)


def model(number: int) -> bytes:
    return sha256(f"model {number}".encode())


def history(*validations: float | None) -> list[Release]:
    """Return releases; the n-th metric is of the model of round n - 1, the first of the initial one."""
    return [Release(model(number), value) for number, value in enumerate(validations, start=1)]


def patient(patience: int, min_rounds: int = 2, rounds: int = 100) -> Schedule:
    return Schedule(rounds, EarlyStopping(patience, min_rounds))


def test_without_early_stopping_the_last_of_all_rounds_is_the_end() -> None:
    schedule = Schedule(3, None)
    assert schedule.ended_after(history(0.9, 0.8)) is None
    assert schedule.ended_after(history(0.9, 0.8, 0.7)) == 3
    assert schedule.final_round(history(0.9, 0.8, 0.7)) == 3


@pytest.mark.parametrize(
    ("schedule", "validations", "ended", "final"),
    [
        # Models 1, 2, 3 have .2, .3, .1: after round 4 one model in a row is no better than model 2.
        (patient(1), (0.1, 0.2, 0.3, 0.1), 4, 2),
        (patient(2), (0.1, 0.2, 0.3, 0.1), None, 2),
        (patient(2), (0.1, 0.2, 0.3, 0.1, 0.3), 5, 2),
        # No better is not better.
        (patient(1), (0.1, 0.2, 0.2), 3, 1),
        # The initial model is no candidate, however good.
        (patient(1), (0.9, 0.1, 0.2, 0.3), None, 3),
        # The plan asks for more rounds first.
        (patient(1, min_rounds=5), (0.1, 0.3, 0.2, 0.1), None, 1),
        (patient(1, min_rounds=5), (0.1, 0.3, 0.2, 0.1, 0.1), 5, 1),
        # The last round ends the run in any case, and its model was never measured.
        (patient(9, rounds=4), (0.1, 0.2, 0.3, 0.4), 4, 3),
        # Rounds in which nobody measured bring no better model.
        (patient(2), (0.1, 0.2, None, None), 4, 1),
        (patient(2), (None, None, None, None), None, 4),
        (patient(2), (None,), None, 1),
    ],
)
def test_the_rule(
    schedule: Schedule, validations: tuple[float | None, ...], ended: int | None, final: int
) -> None:
    assert schedule.ended_after(history(*validations)) == ended
    assert schedule.final_round(history(*validations)) == final


values = st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@given(st.lists(values, min_size=1, max_size=12), st.integers(1, 4), st.integers(2, 6), st.integers(2, 12))
def test_the_rule_equals_its_definition(
    validations: list[float | None], patience: int, min_rounds: int, rounds: int
) -> None:
    """The definition in one line a rule, quadratic in the number of rounds."""

    def is_over(released: list[Release]) -> bool:
        measured = [item.validation for item in released[1:]]
        known = [value for value in measured if value is not None]
        if not known or len(released) < min_rounds:
            return len(released) == rounds
        waited = len(measured) - 1 - measured.index(max(known))
        return waited >= patience or len(released) == rounds

    all_of_them = history(*validations)[:rounds]
    over = [number for number in range(1, len(all_of_them) + 1) if is_over(all_of_them[:number])]
    schedule = patient(patience, min_rounds, rounds)
    assert schedule.ended_after(all_of_them) == (over[0] if over else None)


def test_the_earlier_of_equals_is_the_best() -> None:
    assert best_round(history(0.9, 0.2, 0.5, 0.5)) == 2
    assert best_round(history(0.9)) == 0
    assert best_round([]) == 0


def manifest(number: int, model_hash: bytes) -> RoundManifest:
    return RoundManifest(
        run=RUN,
        round=number,
        attempt=1,
        plan_hash=bytes(32),
        model_hash=model_hash,
        num_parameters=3,
        clip_norm=1.0,
        num_summands=4,
        n_min=3,
        max_colluding=1,
        ring_bits=32,
        ledger_size=1,
        ledger_root=bytes(32),
    )


def told(*validations: float | None) -> dict[int, Release]:
    return dict(enumerate(history(*validations), start=1))


def test_a_round_starts_from_the_model_released_last() -> None:
    check_model(manifest(3, model(2)), told(0.1, 0.2), Schedule(9, None))
    check_model(manifest(3, model(7)), {1: Release(model(1), 0.1)}, Schedule(9, None))
    with pytest.raises(ProtocolViolation, match="not the one released last"):
        check_model(manifest(3, model(1)), told(0.1, 0.2), Schedule(9, None))


def test_a_round_after_the_end_is_refused_by_whoever_saw_all_rounds() -> None:
    seen = told(0.1, 0.3, 0.2)
    with pytest.raises(ProtocolViolation, match="ends the run before this round"):
        check_model(manifest(4, model(3)), seen, patient(1))
    del seen[1]
    check_model(manifest(4, model(3)), seen, patient(1))


def closed(releases: list[Release], final: int) -> RunClosed:
    return recorded(RunClosed(RUN, len(releases), model(final), tuple(releases), b"", (), NOTHING, bytes(64)))


def recorded(statement: RunClosed) -> RunClosed:
    """Return the statement with the head of a ledger whose last record says the same."""
    end = RunCompleted(statement.rounds, statement.model_hash)
    entry, log = append(BEFORE, end, KEY)
    proof = log.inclusion_proof(log.size - 1)
    return replace(statement, ending=entry.signature, inclusion=proof, growth=growth(log, 0, KEY))


HONEST = history(0.1, 0.2, 0.3, 0.1)


def test_an_honest_early_end_is_accepted_by_whoever_saw_all_some_or_nothing() -> None:
    models = {number: model(number - 1) for number in range(1, 5)}
    for seen in (range(1, 5), (2, 4), ()):
        releases = {number: HONEST[number - 1] for number in seen}
        check_ending(closed(HONEST, 2), {n: models[n] for n in seen}, releases, patient(1))


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        (closed(HONEST, 4), "not the one with the best validation metric"),
        (closed(HONEST, 1), "not the one with the best validation metric"),
        (closed(history(0.1, 0.2, 0.3), 2), "another round than the plan's rule says"),
        (closed(history(0.1, 0.2, 0.3, 0.1, 0.1), 2), "another round than the plan's rule says"),
        (replace(closed(HONEST, 2), rounds=5), "not one release for each round"),
        (replace(closed(HONEST, 2), rounds=0, history=()), "not one release for each round"),
    ],
)
def test_an_end_that_does_not_follow_from_its_own_history_is_refused(statement: RunClosed, rule: str) -> None:
    """Even by a node that saw no round at all."""
    with pytest.raises(ProtocolViolation, match=rule):
        check_ending(statement, {}, {}, patient(1))


def test_an_end_that_the_ledger_does_not_have_is_refused() -> None:
    """Else the auditor, who reads the ledger, would judge another model than the one the nodes hold."""
    honest = closed(HONEST, 2)
    for lie in (
        replace(honest, growth=growth(BEFORE, 0, KEY)),
        replace(honest, ending=bytes(64)),
        replace(honest, inclusion=honest.inclusion[:-1]),
        replace(honest, growth=closed(HONEST, 4).growth),
    ):
        with pytest.raises(ProtocolViolation, match="last record of the ledger says something else"):
            check_ending(lie, {}, {}, patient(1))


def test_a_history_that_was_told_otherwise_is_refused() -> None:
    # Consistent in itself: with these metrics model 1 would be the best.
    invented = history(0.1, 0.4, 0.3)
    check_ending(closed(invented, 1), {}, {}, patient(1))
    with pytest.raises(ProtocolViolation, match="not what was said after each round"):
        check_ending(closed(invented, 1), {}, {2: HONEST[1]}, patient(1))
    with pytest.raises(ProtocolViolation, match="not what was said after each round"):
        check_ending(closed(invented, 1), {}, {4: HONEST[3]}, patient(1))
    with pytest.raises(ProtocolViolation, match="another model than a round started from"):
        check_ending(closed(invented, 1), {3: model(7)}, {}, patient(1))


def test_a_run_without_early_stopping_ends_after_all_rounds_with_the_last_model() -> None:
    check_ending(replace(closed(HONEST, 4), history=()), {}, told(0.1, 0.2, 0.3, 0.1), Schedule(4, None))
    with pytest.raises(ProtocolViolation, match="before its last round"):
        check_ending(closed(HONEST, 4), {}, {}, Schedule(5, None))
    with pytest.raises(ProtocolViolation, match="not the one released last"):
        check_ending(closed(HONEST, 2), {}, told(0.1, 0.2, 0.3, 0.1), Schedule(4, None))
