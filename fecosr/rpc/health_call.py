"""Answer whoever asks how the coordinator is: a certificate of the authority is enough."""

from typing import Final

import grpc
import grpc.aio

from fecosr.rpc.incoming import Context
from fecosr.wire.health import CHECK, HEALTH_SERVICE, decode_health_request, encode_health
from fecosr.wire.service import SERVICE

_KNOWN: Final = frozenset({"", SERVICE})


class HealthCall:
    """Serve `grpc.health.v1.Health/Check`; `Watch` is not offered, for nobody may keep a stream open unknown.

    Attributes:
        serving: whether markets can take part now.
    """

    def __init__(self) -> None:
        self.serving = False

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server answers with."""
        calls: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            CHECK: grpc.unary_unary_rpc_method_handler(self._check)
        }
        return grpc.method_handlers_generic_handler(HEALTH_SERVICE, calls)

    async def _check(self, request: bytes, context: Context) -> bytes:
        service = decode_health_request(request)
        if service is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not a health check")
        if service not in _KNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return encode_health("serving" if self.serving else "not_serving")
