import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.errors import MisuseError
from fecosr.provisioning.toml_text import toml_text

# tomllib refuses lone surrogates, which no file of ours can hold either.
texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | texts
values = scalars | st.lists(scalars, max_size=3)
tables = st.recursive(
    st.dictionaries(texts, values, max_size=4),
    lambda inner: st.dictionaries(texts, values | inner, max_size=4),
    max_leaves=12,
)


@given(tables)
def test_what_is_written_reads_back_as_the_same(table: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(table)) == table


def test_keys_of_a_table_come_before_its_sub_tables() -> None:
    text = toml_text({"inner": {"deep": {"a": 1}, "b": 2}, "c": 3})

    assert text == "c = 3\n\n[inner]\nb = 2\n\n[inner.deep]\na = 1\n"


def test_tuples_are_arrays() -> None:
    assert toml_text({"names": ("a", 'b"c')}) == 'names = ["a", "b\\"c"]\n'


@pytest.mark.parametrize("value", [None, b"bytes", object()])
def test_what_has_no_place_in_toml_is_refused(value: object) -> None:
    with pytest.raises(MisuseError):
        toml_text({"key": value})
