import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fecosr.errors import LedgerError, MisuseError
from fecosr.ids import NodeId
from fecosr.ledger.canonical import canonical_json
from fecosr.ledger.records import (
    KINDS,
    Body,
    CohortFixed,
    RecordedAdvert,
    RoundOpened,
    SurvivorsFixed,
    body_from_json,
    body_to_json,
    kind_of,
)


def test_there_is_an_example_of_every_kind(bodies: tuple[Body, ...]) -> None:
    assert sorted(kind_of(body) for body in bodies) == sorted(KINDS)


def test_every_kind_reads_back_as_itself(bodies: tuple[Body, ...]) -> None:
    for body in bodies:
        assert body_from_json(body_to_json(body), 0) == body


def test_bytes_are_lowercase_hex_and_floats_their_exact_text(bodies: tuple[Body, ...]) -> None:
    opened = body_to_json(bodies[1])
    assert opened["manifest_signature"] == "cd" * 64
    assert isinstance(manifest := opened["manifest"], dict)
    assert manifest["clip_norm"] == "0x1.999999999999ap-4"


def test_no_record_holds_a_json_float(bodies: tuple[Body, ...]) -> None:
    def leaves(value: Any) -> Iterator[Any]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        if inner is None:
            yield value
        else:
            for part in inner:
                yield from leaves(part)

    assert {type(leaf) for body in bodies for leaf in leaves(body_to_json(body))} == {
        str,
        int,
        bool,
        type(None),
    }


def test_every_key_is_needed_and_no_other_is_allowed(bodies: tuple[Body, ...]) -> None:
    for body in bodies:
        whole = body_to_json(body)
        for name in whole:
            with pytest.raises(LedgerError):
                body_from_json({key: value for key, value in whole.items() if key != name}, 3)
        with pytest.raises(LedgerError, match="unknown key 'extra'") as refused:
            body_from_json({**whole, "extra": 1}, 3)
        assert (refused.value.record, refused.value.rule) == (3, "schema")


def test_every_field_refuses_every_wrong_type(bodies: tuple[Body, ...]) -> None:
    wrong: tuple[Any, ...] = (None, -1, 2**63, 1.5, [], {}, [1], {"US": 1}, "zz", "AB" * 32, "ab" * 31)
    for body in bodies:
        whole = body_to_json(body)
        for name, right in whole.items():
            for value in wrong:
                if value is None and name == "validation":
                    assert body_from_json({**whole, name: None}, 0) != body
                    continue
                if type(value) is type(right) and not (isinstance(value, int) or name == "kind"):
                    continue
                with pytest.raises(LedgerError):
                    body_from_json({**whole, name: value}, 0)


Damage = Callable[[Any], None]


@pytest.mark.parametrize(
    ("kind", "damage", "rule"),
    [
        (0, lambda v: v.update(roster={"US": "ab" * 32}), "market name"),
        (0, lambda v: v.update(roster={"coordinator": "ab" * 32}), "market name"),
        (0, lambda v: v.update(coordinator="AB" * 32), "lowercase"),
        (0, lambda v: v.update(coordinator="ab" * 31), "32 bytes"),
        (0, lambda v: v.update(coordinator="ab " * 32), "lowercase"),
        (0, lambda v: v.update(run="Two Words"), "run name"),
        (0, lambda v: v.update(version="\ud800"), "Unicode"),
        (0, lambda v: v["privacy"].update(mode="central"), "none of"),
        (0, lambda v: v["privacy"].update(mode="distributed"), "epsilon and delta"),
        (0, lambda v: v["privacy"].update(epsilon="0x1.0p+3"), "hexadecimal|epsilon and delta"),
        (0, lambda v: v["privacy"].update(clip_norm="0.1"), "hexadecimal text"),
        (0, lambda v: v["privacy"].update(clip_norm="inf"), "hexadecimal text"),
        (0, lambda v: v["privacy"].update(clip_norm="0x1p99999"), "finite"),
        (1, lambda v: v.update(round=True), "integer"),
        (1, lambda v: v["manifest"].pop("n_min"), "lacks 'n_min'"),
        (1, lambda v: v["manifest"].update(more=1), "unknown key"),
        (1, lambda v: v.update(expected=["us", "de"]), "sorted"),
        (1, lambda v: v.update(expected=["de", "de"]), "sorted"),
        (2, lambda v: v.update(adverts=v["adverts"] * 2), "sorted"),
        (3, lambda v: v.update(dropouts={"us": 3}), "not a string"),
        (4, lambda v: v.update(unmasked=0), "true or false"),
        (5, lambda v: v.update(privacy_event="gaussian"), "not an object"),
        (5, lambda v: v.update(privacy_event={"kind": "os.system"}), "lacks"),
        (5, lambda v: v.update(consistency_signatures=v["consistency_signatures"] * 2), "sorted"),
    ],
)
def test_values_outside_the_schema_are_refused(
    bodies: tuple[Body, ...], kind: int, damage: Damage, rule: str
) -> None:
    value = copy.deepcopy(body_to_json(bodies[kind]))
    damage(value)
    with pytest.raises(LedgerError, match=rule):
        body_from_json(value, 0)


@pytest.mark.parametrize(
    "value", [None, [], {}, {"kind": "os.system"}, {"kind": ["run_opened"]}, {"kind": 1}]
)
def test_unknown_kinds_are_refused(value: object) -> None:
    with pytest.raises(LedgerError):
        body_from_json(value, 0)


def test_lists_of_nodes_cannot_be_built_out_of_order(bodies: tuple[Body, ...]) -> None:
    opened, cohort = bodies[1], bodies[2]
    assert isinstance(opened, RoundOpened)
    assert isinstance(cohort, CohortFixed)
    later = RecordedAdvert(NodeId("aa"), b"", b"", b"", b"")
    with pytest.raises(MisuseError, match="expected"):
        RoundOpened(1, 1, opened.manifest, opened.manifest_signature, (NodeId("us"), NodeId("de")))
    with pytest.raises(MisuseError, match="adverts"):
        CohortFixed(1, 1, cohort.session, (*cohort.adverts, later))
    with pytest.raises(MisuseError, match="survivors"):
        SurvivorsFixed(1, 1, cohort.session, (NodeId("us"), NodeId("us")), {})


def test_a_body_does_not_depend_on_the_order_of_a_mapping(bodies: tuple[Body, ...]) -> None:
    value = body_to_json(bodies[0])
    roster = value["roster"]
    assert isinstance(roster, dict)
    turned = {**value, "roster": dict(reversed(roster.items()))}
    assert canonical_json(turned) == canonical_json(value)
