"""Who may take part, and which of them a round is opened with."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fecosr.errors import MisuseError
from fecosr.ids import NodeId

PUBLIC_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Roster:
    """Pin the Ed25519 identity of the coordinator and of every market that may ever take part.

    The roster is fixed at provisioning and the same in every kit, so the coordinator can neither invent
    markets (Sybils) nor swap a market's keys.

    Attributes:
        coordinator: the coordinator's public key, 32 bytes.
        nodes: every market's public key, 32 bytes each, by name.
    """

    coordinator: bytes
    nodes: Mapping[NodeId, bytes]

    def __post_init__(self) -> None:
        keys = [self.coordinator, *self.nodes.values()]
        if any(len(public) != PUBLIC_KEY_BYTES for public in keys):
            raise MisuseError(f"an identity is {PUBLIC_KEY_BYTES} bytes")
        if len(set(keys)) != len(keys):
            raise MisuseError("two parties share one identity")
        object.__setattr__(self, "nodes", MappingProxyType(dict(sorted(self.nodes.items()))))
