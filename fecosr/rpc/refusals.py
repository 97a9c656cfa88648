"""Tell the failures of a call that will pass by themselves from those that an operator must act upon."""

from typing import Final

import grpc
import grpc.aio

from fecosr.errors import ConfigError, ConnectionLost, ProtocolViolation
from fecosr.ids import COORDINATOR

MAX_DETAIL_CHARACTERS: Final = 200

_NOT_TRUSTED: Final = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification Check failed")
"""How gRPC words that the coordinator's certificate does not do; it gives these no status of their own."""

_NODE_REFUSED: Final = {
    grpc.StatusCode.UNAUTHENTICATED: "provision this node again",
    grpc.StatusCode.PERMISSION_DENIED: "have this node added to the coordinator's roster",
    grpc.StatusCode.ABORTED: "let only one process use this node's certificate",
    grpc.StatusCode.UNIMPLEMENTED: "install the same FeCoSR version on both sides",
}
_MESSAGE_REFUSED: Final = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND})


def raise_refusal(code: grpc.StatusCode | None, detail: str | None, phase: str) -> None:
    """Return only if what ended a call will pass by itself.

    Args:
        code: the status of the call.
        detail: what the coordinator or gRPC says about it.
        phase: what the call was for.

    Raises:
        ConfigError: no certificate, roster entry or version fits; trying again is in vain.
        ProtocolViolation: the coordinator did not take what the call carried, or lacks what it asked for.
    """
    shown = (detail or "")[:MAX_DETAIL_CHARACTERS]
    if code in _NODE_REFUSED:
        raise ConfigError(f"the coordinator refuses this node: {shown}", remedy=_NODE_REFUSED[code])
    if code in _MESSAGE_REFUSED:
        raise ProtocolViolation(COORDINATOR, phase, f"refused: {shown}")


def is_distrust(detail: str | None) -> bool:
    """Return whether a call failed because the certificate of whoever answered is not the coordinator's.

    On the first dial that is a mistake in the kit; later it may be a stranger with the address for a while.
    """
    return any(words in (detail or "") for words in _NOT_TRUSTED)


def lost(error: grpc.aio.AioRpcError, phase: str) -> ConnectionLost:
    """Return the failure of a call as a lost connection, or raise what it is instead."""
    raise_refusal(error.code(), error.details(), phase)
    return ConnectionLost(f"{phase}: {error.code().name}: {(error.details() or '')[:MAX_DETAIL_CHARACTERS]}")
