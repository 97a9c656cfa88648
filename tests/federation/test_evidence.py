"""The file of evidence: one canonical text for each conviction, and nothing else is read as one."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.errors import CryptoError, MisuseError
from fecosr.federation.evidence import evidence_bytes, evidence_from, evidence_hash
from fecosr.ledger.canonical import canonical_json
from fecosr.secagg.cohort import Cohort
from fecosr.secagg.evidence import Conviction, Fault, verify_conviction
from fecosr.secagg.messages import Phase, UnmaskShares
from fecosr.secagg.server import Aborted, CollectingInputs, Completed
from tests.reference.misdealing import another_polynomial, garbage, misdealing, resigned, to_each
from tests.reference.rehearsal import NAMES, Forge, Rehearsal, rehearse

AT, BE, CZ = NAMES[:3]


def changing(state: Any, message: Any) -> Any:
    """Let one holder reveal another share than it was dealt."""
    if not isinstance(message, UnmaskShares) or AT not in message.seed_shares:
        return message
    if resigned(state.session, AT, message).signature != message.signature:
        return message
    wrong = UnmaskShares({**message.seed_shares, CZ: b"\0" + b"\x77" * 32}, message.mask_key_shares, b"")
    return resigned(state.session, AT, wrong)


FORGES: dict[Fault, Forge] = {
    Fault.CHANGED_SHARE: changing,
    Fault.MISDEALT_SHARES: misdealing({CZ: to_each([AT], another_polynomial)}),
    Fault.UNUSABLE_SHARES: misdealing({CZ: to_each([AT, BE], garbage)}),
}


def cohort_of(play: Rehearsal) -> Cohort:
    state = play.servers[Phase.MASKED_INPUT]
    assert isinstance(state, CollectingInputs)
    return state.cohort


@pytest.fixture(scope="module", params=list(FORGES))
def proved(request: pytest.FixtureRequest) -> tuple[Rehearsal, Conviction]:
    play = rehearse(7, forge=FORGES[request.param])
    assert isinstance(play.outcome, Completed | Aborted)
    (conviction,) = play.outcome.convictions
    assert conviction.fault is request.param
    return play, conviction


def test_what_is_read_back_is_the_conviction_and_verifies(proved: tuple[Rehearsal, Conviction]) -> None:
    play, conviction = proved
    content = evidence_bytes(play.session, conviction)
    session, read = evidence_from(content)
    assert (session, read) == (play.session, conviction)
    assert evidence_bytes(session, read) == content
    verify_conviction(cohort_of(play), play.roster, read)


def test_the_bytes_depend_on_nothing_but_the_conviction(proved: tuple[Rehearsal, Conviction]) -> None:
    play, conviction = proved
    again = rehearse(7, forge=FORGES[conviction.fault])
    assert isinstance(again.outcome, Completed | Aborted)
    content = evidence_bytes(again.session, again.outcome.convictions[0])
    assert evidence_hash(content) == evidence_hash(evidence_bytes(play.session, conviction))


def _paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    match value:
        case dict():
            for name, part in value.items():
                yield from _paths(part, (*path, name))
        case list():
            for place, part in enumerate(value):
                yield from _paths(part, (*path, place))
        case _:
            yield path


def _changed(value: Any, path: tuple[str | int, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(value[path[0]], path[1:], change)
    return copy


def _one_bit(text: Any) -> Any:
    return ("0" if text[0] != "0" else "1") + text[1:] if isinstance(text, str) and text else "x"


def test_a_change_of_any_value_proves_nothing(proved: tuple[Rehearsal, Conviction]) -> None:
    # A signature covers every value, also those that the verdict itself does not look at.
    play, conviction = proved
    value = json.loads(evidence_bytes(play.session, conviction))
    for path in _paths(value):
        forged = canonical_json(_changed(value, path, _one_bit))
        try:
            session, read = evidence_from(forged)
        except MisuseError:
            continue
        if session != play.session:
            continue
        with pytest.raises(CryptoError):
            verify_conviction(cohort_of(play), play.roster, read)


def test_other_files_are_no_evidence(proved: tuple[Rehearsal, Conviction]) -> None:
    play, conviction = proved
    content = evidence_bytes(play.session, conviction)
    value = json.loads(content)
    others = [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        content + b"\n",
        content[:-1],
        json.dumps(value).encode(),
        canonical_json({**value, "fault": "no_such_fault"}),
        canonical_json({**value, "more": 1}),
        canonical_json({name: part for name, part in value.items() if name != "session"}),
        canonical_json({**value, "culprit": 7}),
        canonical_json({**value, "session": "00"}),
    ]
    for other in others:
        with pytest.raises(MisuseError, match="no evidence"):
            evidence_from(other)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(MisuseError):
        evidence_from(content)
