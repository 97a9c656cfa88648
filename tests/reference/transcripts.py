"""Play a session vector with any implementation: who says what is in the vector, and must come out again."""

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


def check_session(vector: Json, implementation: Implementation) -> None:
    """Refuse a session vector in which anybody says something else than the implementation's parties do.

    A line of the transcript that is `forged` is not what its sender's state machine says.
    """
    begun = {name: implementation.client(vector, name) for name in vector["clients"]}
    clients = {name: client for name, (client, _) in begun.items()}
    says = {name: said for name, (_, said) in begun.items()}
    server = implementation.server(vector)
    due: Sent = []
    for line in vector["transcript"]:
        if line["from"] == "server":
            for name in line["to"]:
                require((name, line["body"]) in due, f"the server does not say this to {name}")
                due.remove((name, line["body"]))
                says[name] = clients[name].receive(line["body"])
        elif line.get("leaves"):
            due += server.leave(line["from"])
        else:
            expected = says.pop(line["from"])
            honest = expected == line["body"]
            require(honest != line.get("forged", False), f"{line['from']} does not say this")
            due += server.receive(line["from"], line["body"])
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
