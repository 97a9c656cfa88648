import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.errors import LedgerError
from fecosr.ledger.canonical import canonical_json, parse_canonical

scalars = st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_every_object_reads_back_as_itself(value: dict[str, object]) -> None:
    assert parse_canonical(canonical_json(value), 0) == value


def test_the_encoding_is_pinned() -> None:
    assert canonical_json({"b": [1, True], "a": "é"}) == b'{"a":"\\u00e9","b":[1,true]}'


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1} ',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\\u0041"}',
        '{"a":"é"}'.encode(),
        b'{"a":"\\u00E9"}',
        b'{"a":-0}',
        b"[]",
        b"null",
        b'"a"',
        b"",
        b"{",
        b"\xff",
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_anything_else_is_refused_with_the_record(line: bytes) -> None:
    with pytest.raises(LedgerError) as refused:
        parse_canonical(line, 17)
    assert (refused.value.record, refused.value.rule) == (17, "canonical")


def refusal_of(line: bytes) -> tuple[int, str] | None:
    """Return which record breaks which rule, or None when the line is read."""
    try:
        parse_canonical(line, 17)
    except LedgerError as refused:
        return refused.record, refused.rule
    return None


def test_no_depth_of_nesting_escapes_as_another_error() -> None:
    # Reading and writing run out of stack at different depths, both near the limit of this very process.
    limit = sys.getrecursionlimit()
    depths = (1, *range(max(2, limit - 300), limit + 200), 4 * limit)
    refusals = {refusal_of(b'{"a":' + b"[" * depth + b"]" * depth + b"}") for depth in depths}
    assert refusals == {None, (17, "canonical")}
