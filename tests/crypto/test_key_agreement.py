from typing import Any

import pytest

from fecosr.crypto.key_agreement import PrivateKey, check_public_key, derive_key
from fecosr.crypto.labels import Label, encode
from fecosr.errors import CryptoError, MisuseError
from tests.reference.primitives import hkdf_sha256

LOW_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def test_known_answer(vectors: dict[str, Any]) -> None:
    case = vectors["x25519"]
    alice = PrivateKey(bytes.fromhex(case["alice_private"]))
    bob = PrivateKey(bytes.fromhex(case["bob_private"]))
    assert alice.public.hex() == case["alice_public"]
    assert bob.public.hex() == case["bob_public"]
    assert alice.agree(bob.public).hex() == bob.agree(alice.public).hex() == case["shared"]


@pytest.mark.parametrize("public", LOW_ORDER, ids=lambda public: public[:4].hex())
def test_low_order_keys_are_refused(public: bytes) -> None:
    with pytest.raises(CryptoError):
        PrivateKey(b"\7" * 32).agree(public)
    with pytest.raises(CryptoError):
        check_public_key(public)


def test_malformed_keys_are_refused() -> None:
    with pytest.raises(CryptoError):
        check_public_key(bytes(31))
    with pytest.raises(MisuseError):
        PrivateKey(bytes(33))
    check_public_key(PrivateKey(b"\7" * 32).public)


def test_the_reference_derivation_gives_the_known_answer(vectors: dict[str, Any]) -> None:
    case = {name: bytes.fromhex(value) for name, value in vectors["hkdf_sha256"].items() if name != "source"}
    assert hkdf_sha256(case["secret"], case["salt"], case["info"], 42) == case["output"]


@pytest.mark.parametrize("length", [16, 32, 100])
def test_derivation_equals_the_reference(length: int) -> None:
    derived = derive_key(b"\5" * 32, Label.SELF_MASK, b"one", b"two", length=length)
    info = encode(Label.SELF_MASK, b"one", b"two")
    assert derived == hkdf_sha256(b"\5" * 32, b"", info, length)


def test_purpose_and_context_separate_keys() -> None:
    secret = b"\5" * 32
    keys = {
        derive_key(secret, Label.SELF_MASK, b"ab"),
        derive_key(secret, Label.SELF_MASK, b"a", b"b"),
        derive_key(secret, Label.PAIRWISE_MASK, b"ab"),
        derive_key(b"\6" * 32, Label.SELF_MASK, b"ab"),
    }
    assert len(keys) == 4


def test_the_secret_never_shows() -> None:
    secret = bytes(range(32))
    shown = repr(PrivateKey(secret))
    assert secret.hex() not in shown
    assert repr(secret) not in shown
    assert "secret" not in shown


def test_what_passes_the_check_can_be_agreed_with_and_nothing_else() -> None:
    key, field = PrivateKey(b"\7" * 32), 2**255 - 19
    near = [start + step for start in (0, field, 2**255, 2**255 + field) for step in range(-2, 19)]
    for coordinate in near:
        public = (coordinate % 2**256).to_bytes(32, "little")
        try:
            check_public_key(public)
        except CryptoError:
            with pytest.raises(CryptoError):
                key.agree(public)
        else:
            assert len(key.agree(public)) == 32
