"""The checks that every decoder is made of, and the one place where a failed check names a peer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from fecosr.errors import ProtocolViolation
from fecosr.ids import NodeId, RunId, node_id, run_id
from fecosr.secagg.parameters import MAX_CLIENTS

HASH_BYTES: Final = 32
MAX_REASON_BYTES: Final = 4096

_Name = TypeVar("_Name")


class MalformedError(ValueError):
    """Name the rule a message broke; inside this package only, where the peer is not known yet."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        super().__init__(rule)


@contextmanager
def blaming(peer: str) -> Iterator[None]:
    """Turn whatever makes a message unreadable into a ProtocolViolation of `peer`.

    Raises:
        ProtocolViolation: a check failed, or the bytes are no message at all.
    """
    try:
        yield
    except MalformedError as error:
        raise ProtocolViolation(peer, "decode", error.rule) from None
    except DecodeError:
        raise ProtocolViolation(peer, "decode", "the bytes are no message of this protocol") from None


def exactly(size_bytes: int, value: bytes, field: str) -> bytes:
    """Return `value`, refusing any other size than `size_bytes`."""
    if len(value) != size_bytes:
        raise MalformedError(f"{field} must be {size_bytes} bytes, not {len(value)}")
    return value


def at_least(minimum: int, value: int, field: str) -> int:
    """Return `value`, refusing anything below `minimum`."""
    if value < minimum:
        raise MalformedError(f"{field} must be at least {minimum}")
    return value


def text(value: str, field: str, max_bytes: int = MAX_REASON_BYTES) -> str:
    """Return `value`, refusing an empty or oversized one."""
    if not 1 <= len(value.encode()) <= max_bytes:
        raise MalformedError(f"{field} must be 1-{max_bytes} bytes")
    return value


def node_name(value: str, field: str) -> NodeId:
    """Return `value` as the name of a node, refusing what cannot be one."""
    return _named(node_id, value, field)


def run_name(value: str, field: str) -> RunId:
    """Return `value` as the name of a run, refusing what cannot be one."""
    return _named(run_id, value, field)


def ascending(names: Sequence[NodeId], field: str) -> None:
    """Refuse names that are out of order or twice there, none at all, or more than a session has."""
    unique(names, field)
    if list(names) != sorted(names):
        raise MalformedError(f"{field} must be in ascending order")


def unique(names: Sequence[NodeId], field: str) -> None:
    """Refuse a name that is twice there, none at all, or more than a session has."""
    if not 1 <= len(names) <= MAX_CLIENTS:
        raise MalformedError(f"{field} must have 1-{MAX_CLIENTS} entries, not {len(names)}")
    if len(set(names)) != len(names):
        raise MalformedError(f"{field} names a node twice")


def chosen(message: Message, oneof: str) -> str:
    """Return which field of a oneof is set, refusing a message with none that this version knows."""
    name = message.WhichOneof(oneof)
    if name is None:
        raise MalformedError(f"{message.DESCRIPTOR.name} has no known {oneof}")
    return str(name)


def present(message: Message, *fields: str) -> None:
    """Refuse a message that lacks one of the sub-messages `fields`."""
    for field in fields:
        if not message.HasField(field):
            raise MalformedError(f"{message.DESCRIPTOR.name} lacks {field}")


def _named(parse: Callable[[str], _Name], value: str, field: str) -> _Name:
    try:
        return parse(value)
    except ValueError:
        raise MalformedError(f"{field} is not a valid name") from None
