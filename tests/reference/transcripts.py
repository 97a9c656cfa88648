"""Play a session vector with any implementation: who says what is in the vector, and must come out again."""

import hashlib
import json
from collections.abc import Callable
from typing import Protocol

from tests.reference.protocol import Json, Refused, require

Sent = list[tuple[str, Json]]


class PlaysClient(Protocol):
    """Answer the server's messages."""

    def receive(self, body: Json) -> Json:
        """Return the answer to one message."""


class PlaysServer(Protocol):
    """Answer the clients' messages."""

    @property
    def outcome(self) -> Json | None:
        """Return how the session ended; None while it runs."""

    def receive(self, sender: str, body: Json) -> Sent:
        """Return what is sent to whom after one message."""

    def leave(self, client: str) -> Sent:
        """Return what is sent to whom after a client has left."""


class Implementation(Protocol):
    """Make the parties of a session vector."""

    def client(self, vector: Json, me: str) -> tuple[PlaysClient, Json]:
        """Return a client and its first message."""

    def server(self, vector: Json) -> PlaysServer:
        """Return the server."""


def digest_of(body: Json) -> str:
    """Return the SHA-256 of a message as JSON with sorted keys and no white space."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _states(line: Json, body: Json) -> bool:
    """Return whether a line of a transcript states this message, in full or by its digest."""
    return bool(line["body"] == body if "body" in line else line["digest"] == digest_of(body))


def check_session(vector: Json, implementation: Implementation) -> None:
    """Refuse a session vector in which anybody says something else than the implementation's parties do.

    A line of the transcript that is `forged` is not what its sender's state machine says. Where there are
    many clients, what honest ones say stands there as a digest: it follows from what they bring.
    """
    begun = {name: implementation.client(vector, name) for name in vector["clients"]}
    clients = {name: client for name, (client, _) in begun.items()}
    says = {name: said for name, (_, said) in begun.items()}
    server = implementation.server(vector)
    due: Sent = []
    for line in vector["transcript"]:
        if line["from"] == "server":
            for name in line["to"]:
                said = next((it for it in due if it[0] == name and _states(line, it[1])), None)
                if said is None:
                    raise Refused(f"the server does not say this to {name}")
                due.remove(said)
                says[name] = clients[name].receive(said[1])
        elif line.get("leaves"):
            due += server.leave(line["from"])
        else:
            expected = says.pop(line["from"])
            require(_states(line, expected) != line.get("forged", False), f"{line['from']} does not say this")
            due += server.receive(line["from"], line.get("body", expected))
    require(not due, "the server says more than is in the transcript")
    require(server.outcome == vector["outcome"], "the session ends differently")


def check_refusal(vector: Json, implementation: Implementation) -> None:
    """Let one party receive what the vector says; the last message must be refused.

    Raises:
        Refused: it was, by the rule of the vector; anything else is another error.
    """
    *before, last = vector["receives"]
    receive = _receiver(vector, implementation)
    for line in before:
        try:
            receive(line)
        except Refused as refusal:
            raise AssertionError(f"refused too early: {refusal}") from refusal
    receive(last)


def _receiver(vector: Json, implementation: Implementation) -> Callable[[Json], object]:
    if vector["receiver"] != "server":
        client, _ = implementation.client(vector, vector["receiver"])
        return lambda line: client.receive(line["body"])
    server = implementation.server(vector)
    return lambda line: (
        server.leave(line["from"]) if line.get("leaves") else server.receive(line["from"], line["body"])
    )
