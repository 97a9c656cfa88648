"""A stranger at the coordinator's port: no certificate, and nothing to say that anybody understands."""

import random
import socket
import struct
from contextlib import suppress
from typing import Final

LOOPBACK: Final = "127.0.0.1"
CONNECT_SECONDS: Final = 5.0
MOST_BYTES: Final = 1 << 16
_CLIENT_HELLO: Final = bytes.fromhex("16030100")
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_RESET: Final = struct.pack("ii", 1, 0)


def throw(port: int, *, connections: int, seed: int) -> int:
    """Open `connections` to `port` one after the other and send each something else; return how many stood.

    Some begin as TLS or HTTP/2 does, so that parsers further in see some of it; some just hang up.
    """
    draw = random.Random(seed)  # noqa: S311 - what is thrown must be the same every time, not secret
    return sum(_throw_once(port, draw) for _ in range(connections))


def _throw_once(port: int, draw: random.Random) -> bool:
    beginning = draw.choice([b"", _CLIENT_HELLO, _PREFACE, b"GET / HTTP/1.1\r\n\r\n"])
    rubbish = beginning + draw.randbytes(draw.randrange(MOST_BYTES))
    try:
        connection = socket.create_connection((LOOPBACK, port), CONNECT_SECONDS)
    except OSError:
        return False
    with connection, suppress(OSError):
        connection.settimeout(CONNECT_SECONDS)
        if draw.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.sendall(rubbish)
    return True
