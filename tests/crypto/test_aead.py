import pytest

from fecosr.crypto.aead import TAG_BYTES, open_sealed, seal
from fecosr.errors import CryptoError, MisuseError

KEY = bytes(range(32))


def test_known_answer() -> None:
    # Test case 13 and 14 of "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega.
    assert seal(bytes(32), b"", b"").hex() == "530f8afbc74536b9a963b4f1c4cb738b"
    assert seal(bytes(32), bytes(16), b"").hex() == (
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    )


def test_what_was_sealed_opens() -> None:
    ciphertext = seal(KEY, b"share", b"from a to b")
    assert len(ciphertext) == len(b"share") + TAG_BYTES
    assert open_sealed(KEY, ciphertext, b"from a to b") == b"share"


def test_every_change_is_noticed() -> None:
    ciphertext = seal(KEY, b"share", b"from a to b")
    for i in range(len(ciphertext)):
        changed = ciphertext[:i] + bytes([ciphertext[i] ^ 1]) + ciphertext[i + 1 :]
        with pytest.raises(CryptoError):
            open_sealed(KEY, changed, b"from a to b")
    for key, sealed, associated in (
        (KEY, ciphertext, b"from b to a"),
        (bytes(32), ciphertext, b"from a to b"),
        (KEY, ciphertext[:-1], b"from a to b"),
        (KEY, b"", b"from a to b"),
    ):
        with pytest.raises(CryptoError):
            open_sealed(key, sealed, associated)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(MisuseError):
        seal(bytes(16), b"share", b"")
    with pytest.raises(MisuseError):
        open_sealed(bytes(31), bytes(40), b"")
