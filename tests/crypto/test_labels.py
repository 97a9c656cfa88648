import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from fecosr.crypto.labels import Label, encode, sha256

PARTS = st.lists(st.binary(max_size=12), max_size=4)
LABELS = st.sampled_from(Label)


def test_every_label_is_distinct_and_versioned() -> None:
    assert len({label.value for label in Label}) == len(Label)
    assert all(label.value.startswith("fecosr/v1/") for label in Label)


def test_an_encoding_is_lengths_and_parts() -> None:
    label = Label.SESSION.value.encode()
    assert encode(Label.SESSION, b"ab", b"") == (
        len(label).to_bytes(8, "big") + label + (2).to_bytes(8, "big") + b"ab" + bytes(8)
    )


@settings(derandomize=True)
@given(LABELS, PARTS, LABELS, PARTS)
def test_no_two_inputs_encode_alike(one: Label, left: list[bytes], two: Label, right: list[bytes]) -> None:
    assert (encode(one, *left) == encode(two, *right)) == (one is two and left == right)


@settings(derandomize=True)
@given(st.binary(max_size=20), st.integers(0, 20))
def test_moving_a_boundary_changes_the_encoding(data: bytes, cut: int) -> None:
    cut = min(cut, len(data))
    assert encode(Label.SESSION, data[:cut], data[cut:]) != encode(Label.SESSION, data)


def test_sha256_is_the_standard_hash() -> None:
    assert sha256(b"abc") == hashlib.sha256(b"abc").digest()
    assert sha256(b"abc").hex().startswith("ba7816bf8f01cfea")
