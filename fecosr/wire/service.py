"""Name the calls of the service in proto/fecosr/v1/coordination.proto as gRPC does: by path."""

from typing import Final

from fecosr.wire.generated.v1.coordination_pb2 import DESCRIPTOR

_SERVICE: Final = DESCRIPTOR.services_by_name["Coordination"]

SERVICE: Final = _SERVICE.full_name
CONNECT: Final = _SERVICE.methods_by_name["Connect"].name
FETCH_MODEL: Final = _SERVICE.methods_by_name["FetchModel"].name
UPLOAD_MASKED_INPUT: Final = _SERVICE.methods_by_name["UploadMaskedInput"].name

READY: Final = "fecosr-ready"
"""Key of the initial metadata with which the coordinator says that it takes a node's hello."""

RECEIVED: Final = "fecosr-received"
"""Key of the initial metadata that says how many bytes of an upload the coordinator has already."""

MAX_MESSAGE_BYTES: Final = 2 << 20
"""No message is larger; a transport refuses to read one that is."""


def path(call: str) -> str:
    """Return the path under which a client finds `call`."""
    return f"/{SERVICE}/{call}"
