"""The standard health protocol of gRPC, `grpc.health.v1`: one question, one answer.

Its two messages have the very bytes of two messages that protobuf brings along: a name in field 1, an enum in
field 1. So no schema of somebody else's is compiled into ours.
"""

from typing import Final, Literal

from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

HEALTH_SERVICE: Final = "grpc.health.v1.Health"
CHECK: Final = "Check"

Status = Literal["serving", "not_serving"]
_NUMBERS: Final[dict[Status, int]] = {"serving": 1, "not_serving": 2}


def encode_health_request(service: str) -> bytes:
    """Return the question how `service` is; an empty name asks about the whole server."""
    return StringValue(value=service).SerializeToString()


def decode_health_request(data: bytes) -> str | None:
    """Return which service is asked about; None when the question cannot be read."""
    try:
        return str(StringValue.FromString(data).value)
    except DecodeError:
        return None


def encode_health(status: Status) -> bytes:
    """Return the answer."""
    return Int32Value(value=_NUMBERS[status]).SerializeToString()


def decode_health(data: bytes) -> Status | None:
    """Return the answer; None when it is another or cannot be read."""
    try:
        number = Int32Value.FromString(data).value
    except DecodeError:
        return None
    return next((status for status, known in _NUMBERS.items() if known == number), None)
