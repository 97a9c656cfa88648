"""Log lines of a coordinator and a node become spans that fit together."""

from collections.abc import Mapping, Sequence

from fecosr.ids import COORDINATOR
from fecosr.observability.lines import LogLine
from fecosr.observability.spans import OpenSpans, Span

OPENED = ("round_opened", {"round": 1, "attempt": 1})
RELEASED = ("round_released", {"round": 1, "attempt": 1, "loss": 4.37, "survivors": ["de", "fr"]})


def phase(name: str, attempt: int = 1) -> tuple[str, Mapping[str, object]]:
    return "phase_started", {"round": 1, "attempt": attempt, "phase": name}


def spans(party: str, events: Sequence[tuple[str, Mapping[str, object]]]) -> list[Span]:
    """Return the spans that a party's lines end, one line a second."""
    found: list[Span] = []
    under_way = OpenSpans("spring", party)
    for second, (event, fields) in enumerate(events):
        under_way, ended = under_way.after(LogLine(100.0 + second, "info", event, fields))
        found += ended
    return found


def test_a_released_round_is_a_trace_of_attempt_and_phases() -> None:
    found = spans(COORDINATOR, [OPENED, phase("advertise_keys"), phase("share_keys"), RELEASED])
    assert [(s.name, s.began, s.ended) for s in found] == [
        ("advertise_keys", 101, 102),
        ("share_keys", 102, 103),
        ("attempt", 100, 103),
        ("round", 100, 103),
    ]
    *phases, attempt, whole = found
    assert {s.parent_id for s in phases} == {attempt.span_id}
    assert (attempt.parent_id, whole.parent_id) == (whole.span_id, None)
    assert len({s.trace_id for s in found}) == 1
    assert len({s.span_id for s in found}) == 4
    assert not any(s.failure for s in found)


def test_a_nodes_attempt_is_a_part_of_the_coordinators_without_being_told() -> None:
    above = {s.name: s for s in spans(COORDINATOR, [OPENED, phase("unmask"), RELEASED])}
    *phases, attempt = spans(
        "fr",
        [
            ("training_started", {"round": 1, "attempt": 1}),
            ("training_finished", {"round": 1, "attempt": 1}),
            phase("advertise_keys"),
            ("round_closed", {"round": 1, "attempt": 1, "outcome": "released"}),
        ],
    )
    assert [(s.name, s.ended - s.began) for s in phases] == [("training", 1), ("advertise_keys", 1)]
    assert (attempt.trace_id, attempt.parent_id) == (above["attempt"].trace_id, above["attempt"].span_id)
    assert attempt.span_id != above["attempt"].span_id


def test_an_aborted_attempt_fails_and_the_round_goes_on() -> None:
    aborted = ("round_aborted", {"round": 1, "attempt": 1, "reason": "too_few"})
    second = ("round_released", {"round": 1, "attempt": 2})
    again = ("round_opened", {"round": 1, "attempt": 2})
    found = spans(COORDINATOR, [OPENED, phase("share_keys"), aborted, again, phase("unmask", 2), second])
    assert [(s.name, s.failure) for s in found] == [
        ("share_keys", "aborted"),
        ("attempt", "aborted"),
        ("unmask", ""),
        ("attempt", ""),
        ("round", ""),
    ]
    assert (found[-1].began, found[-1].ended) == (100, 105)
    assert found[1].span_id != found[3].span_id


def test_the_next_round_is_another_trace_and_so_is_another_run() -> None:
    first = spans(COORDINATOR, [OPENED, RELEASED])[-1]
    next_round = spans(
        COORDINATOR, [("round_opened", {"round": 2, "attempt": 1}), ("round_released", {"round": 2})]
    )
    assert next_round[-1].trace_id != first.trace_id
    other, _ = OpenSpans("autumn", COORDINATOR).after(LogLine(1.0, "info", *OPENED))
    assert other.round is not None
    assert other.round.trace_id != first.trace_id


def test_what_was_under_way_at_the_end_is_ended_as_stopped() -> None:
    found = spans(COORDINATOR, [OPENED, phase("unmask"), ("coordinator_stopped", {"exit_code": 143})])
    assert [(s.name, s.failure) for s in found] == [
        ("unmask", "stopped"),
        ("attempt", "stopped"),
        ("round", "stopped"),
    ]


def test_a_lost_connection_ends_a_nodes_attempt_and_the_next_begins_anew() -> None:
    found = spans(
        "fr",
        [
            phase("masked_input"),
            ("connection_lost", {}),
            phase("masked_input", 2),
            ("round_closed", {"outcome": "aborted"}),
        ],
    )
    assert [(s.name, s.failure) for s in found] == [
        ("masked_input", "disconnected"),
        ("attempt", "disconnected"),
        ("masked_input", "aborted"),
        ("attempt", "aborted"),
    ]


def test_an_attempt_nobody_ended_is_superseded() -> None:
    found = spans("fr", [phase("masked_input"), phase("advertise_keys", 2)])
    assert [(s.name, s.failure) for s in found] == [("masked_input", ""), ("attempt", "superseded")]


def test_nothing_measured_is_ever_in_a_span() -> None:
    """The lines hold losses, metrics and counts of users; a span must not."""
    shared = ("metric_shared", {"round": 1, "market": "fr", "validation": 0.4375})
    ready = ("node_ready", {"users": 4711, "items": 4712})
    found = spans(COORDINATOR, [ready, OPENED, phase("unmask"), shared, RELEASED])
    for span in found:
        assert span.attributes.keys() <= {"fecosr.run", "fecosr.party", "fecosr.round", "fecosr.attempt"}
        assert set(span.attributes.values()) <= {"spring", "coordinator", 1}


def test_lines_of_no_round_change_nothing() -> None:
    assert spans("fr", [("node_ready", {"users": 3}), ("round_closed", {"outcome": "released"})]) == []
