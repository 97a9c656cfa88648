"""Connections that are few and end: what a visitor holds open must never be missing to a market."""

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS: Final = 32
MOST_SECONDS: Final = 60.0
"""How long a connection may last, whatever goes on over it; browsers open the next by themselves."""


class BoundedProtocol(H11Protocol):
    """Hang up on one visitor too many at once, and on every visitor after a while."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let a visitor in if there is room."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(MOST_SECONDS, transport.close)
