"""Who may look: whoever knows what stands in one file."""

import hashlib
import hmac
import os
import secrets
from base64 import b64decode
from binascii import Error as NotBase64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fecosr.errors import ConfigError

TOKEN_BYTES: Final = 32
LEAST_CHARACTERS: Final = 32
MOST_HEADER_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Token:
    """Recognise a visitor; only the hash of the token is kept."""

    digest: bytes = field(repr=False)

    def admits(self, authorization: bytes) -> bool:
        """Return whether an HTTP Authorization header names the token.

        `Bearer TOKEN` for programs, `Basic` with the token as password and any name for browsers. The time
        this takes says nothing about the token.
        """
        given = hashlib.sha256(_token_in(authorization[:MOST_HEADER_BYTES])).digest()
        return hmac.compare_digest(given, self.digest)


def load_token(path: Path) -> Token:
    """Return the token in the file at `path`, which is made if it is not there.

    Raises:
        ConfigError: the file cannot be read or made, others may read it, or what is in it can be guessed.
    """
    try:
        _make(path)
    except OSError as error:
        remedy = "name a place in [web] token where this user may write"
        raise ConfigError(f"cannot be made: {error.strerror}", remedy=remedy, source=str(path)) from None
    return read_token(path)


def read_token(path: Path) -> Token:
    """Return the token in the file at `path`.

    Raises:
        ConfigError: the file cannot be read, others may read it, or what is in it can be guessed.
    """
    try:
        text = path.read_bytes().strip()
        readable_by_others = path.stat().st_mode & 0o077
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(path)) from None
    if readable_by_others:
        raise ConfigError("others may read this token", remedy=f"chmod 600 {path}", source=str(path))
    if len(text) < LEAST_CHARACTERS:
        remedy = f"delete it, and a new one is made; or write at least {LEAST_CHARACTERS} random characters"
        raise ConfigError("is too short to be safe", remedy=remedy, source=str(path))
    return Token(hashlib.sha256(text).digest())


def _make(path: Path) -> None:
    """Write a fresh token; a crash on the way leaves none."""
    if path.exists():
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{secrets.token_urlsafe(TOKEN_BYTES)}\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _token_in(authorization: bytes) -> bytes:
    scheme, _, rest = authorization.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip()
        case b"basic":
            try:
                return b64decode(rest.strip(), validate=True).partition(b":")[2]
            except NotBase64:
                return b""
        case _:
            return b""
