"""Fingerprints as people read them out to each other: pairs of hexadecimal digits, as OpenSSL prints them."""

from fecosr.crypto.labels import HASH_BYTES
from fecosr.errors import ConfigError


def fingerprint_text(digest: bytes) -> str:
    """Return a 32-byte digest as `AB:CD:...`."""
    return digest.hex(":").upper()


def parse_fingerprint(text: str, option: str) -> bytes:
    """Return the 32 bytes that `text` spells, with or without colons and spaces, in either case.

    Args:
        text: what was typed.
        option: the command line option it was typed after, for the error.

    Raises:
        ConfigError: it spells no SHA-256.
    """
    digits = text.replace(":", "").replace(" ", "")
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        digest = b""
    if len(digest) != HASH_BYTES:
        raise ConfigError("is not a SHA-256 fingerprint", remedy="64 hexadecimal digits", source=option)
    return digest
