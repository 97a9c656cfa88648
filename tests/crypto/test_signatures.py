from typing import Any

import pytest

from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import CryptoError, MisuseError


@pytest.mark.parametrize("case", [0, 1])
def test_known_answers(vectors: dict[str, Any], case: int) -> None:
    vector = {name: value for name, value in vectors["ed25519"][case].items() if name != "source"}
    data = {name: bytes.fromhex(value) for name, value in vector.items()}
    key = SigningKey(data["seed"])
    assert key.public == data["public"]
    assert key.sign(data["message"]) == data["signature"]
    verify(data["public"], data["signature"], data["message"])


def test_a_signature_is_of_one_message_by_one_key() -> None:
    key = SigningKey(bytes(32))
    signature = key.sign(b"message")
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    for public, claimed, message in (
        (key.public, signature, b"massage"),
        (SigningKey(b"\1" * 32).public, signature, b"message"),
        (key.public, flipped, b"message"),
        (key.public, signature[:-1], b"message"),
        (key.public[:-1], signature, b"message"),
        (key.public, b"", b"message"),
    ):
        with pytest.raises(CryptoError):
            verify(public, claimed, message)


def test_a_signature_that_verified_before_is_remembered_and_one_that_did_not_is_not() -> None:
    key = SigningKey(bytes(32))
    signature = key.sign(b"remembered")
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    for _ in range(3):
        verify(key.public, signature, b"remembered")
        for public, claimed, message in (
            (key.public, flipped, b"remembered"),
            (key.public, signature, b"remembered!"),
            (SigningKey(b"\1" * 32).public, signature, b"remembered"),
        ):
            with pytest.raises(CryptoError):
                verify(public, claimed, message)


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(MisuseError):
        SigningKey(bytes(31))


def test_the_seed_never_shows() -> None:
    seed = bytes(range(32))
    shown = repr(SigningKey(seed))
    assert seed.hex() not in shown
    assert repr(seed) not in shown
    assert "seed" not in shown
