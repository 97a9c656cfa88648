"""Encode and decode the two bulk transfers: a model down, a masked vector up, each a header and then data."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fecosr.crypto.signatures import SIGNATURE_BYTES
from fecosr.ids import NodeId
from fecosr.wire.checks import (
    HASH_BYTES,
    MalformedError,
    ascending,
    at_least,
    blaming,
    chosen,
    exactly,
    node_name,
)
from fecosr.wire.generated.v1 import coordination_pb2 as pb

CHUNK_BYTES: Final = 1 << 20
"""The most data one chunk carries."""
PARAMETER_BYTES: Final = 4
"""Size of a float32 parameter."""


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """Announce a model download of `size_bytes`."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class UploadHeader:
    """Announce a masked vector of one attempt.

    Attributes:
        round: from 1.
        attempt: from 1.
        size_bytes: of the vector as it travels, packed to its ring.
        sha256: of those bytes.
        signature: the node's Ed25519 identity over the session, `sha256` and a receipt for the shares it got,
            64 bytes.
        unusable: the dealers whose shares are unusable, as the receipt says, sorted.
        resume: whether the data begin where an earlier upload of the same bytes broke off.
    """

    round: int
    attempt: int
    size_bytes: int
    sha256: bytes
    signature: bytes
    unusable: tuple[NodeId, ...] = ()
    resume: bool = False


class UploadVerdict(StrEnum):
    """Say what became of an upload."""

    ACCEPTED = "accepted"
    NOT_EXPECTED = "not_expected"


_DATA_TAG: Final = 2 << 3 | 2
"""Field 2, length-delimited: the data of either kind of chunk."""
_PREFIX_BYTES: Final = range(2, 6)
"""How long tag and length can be together, for messages of up to 2^28 bytes."""

_VERDICTS: Final = {
    UploadVerdict.ACCEPTED: pb.UPLOAD_VERDICT_ACCEPTED,
    UploadVerdict.NOT_EXPECTED: pb.UPLOAD_VERDICT_NOT_EXPECTED,
}
_VERDICTS_BY_NUMBER: Final = {int(number): verdict for verdict, number in _VERDICTS.items()}


def encode_fetch_model(model_hash: bytes) -> bytes:
    """Return the request for the parameters with SHA-256 `model_hash`."""
    return pb.FetchModelRequest(model_hash=model_hash).SerializeToString()


def decode_fetch_model(data: bytes, peer: str) -> bytes:
    """Return the hash that `peer` asks for, or raise ProtocolViolation."""
    with blaming(peer):
        return exactly(HASH_BYTES, pb.FetchModelRequest.FromString(data).model_hash, "model_hash")


def encode_model_chunk(chunk: ModelHeader | memoryview) -> bytes:
    """Return the first chunk (a header) or a later chunk (data) of a model."""
    if isinstance(chunk, ModelHeader):
        return pb.ModelChunk(header=pb.ModelHeader(size_bytes=chunk.size_bytes)).SerializeToString()
    return _message_of(chunk)


def decode_model_chunk(data: bytes, peer: str) -> ModelHeader | memoryview:
    """Return the header or the data that `peer` sent, or raise ProtocolViolation."""
    with blaming(peer):
        if (part := _data_of(data)) is not None:
            return part
        chunk = pb.ModelChunk.FromString(data)
        if chosen(chunk, "body") == "header":
            return ModelHeader(_whole_parameters(chunk.header.size_bytes))
        return _bounded(memoryview(chunk.data))


def encode_upload_chunk(chunk: UploadHeader | memoryview) -> bytes:
    """Return the first chunk (a header) or a later chunk (data) of an upload."""
    if isinstance(chunk, UploadHeader):
        header = pb.UploadHeader(
            round=chunk.round,
            attempt=chunk.attempt,
            size_bytes=chunk.size_bytes,
            sha256=chunk.sha256,
            signature=chunk.signature,
            unusable=chunk.unusable,
            resume=chunk.resume,
        )
        return pb.UploadChunk(header=header).SerializeToString()
    return _message_of(chunk)


def decode_upload_chunk(data: bytes, peer: str) -> UploadHeader | memoryview:
    """Return the header or the data that `peer` sent, or raise ProtocolViolation."""
    with blaming(peer):
        if (part := _data_of(data)) is not None:
            return part
        chunk = pb.UploadChunk.FromString(data)
        if chosen(chunk, "body") == "data":
            return _bounded(memoryview(chunk.data))
        header = chunk.header
        return UploadHeader(
            round=header.round,
            attempt=at_least(1, header.attempt, "attempt"),
            size_bytes=at_least(1, header.size_bytes, "size_bytes"),
            sha256=exactly(HASH_BYTES, header.sha256, "sha256"),
            signature=exactly(SIGNATURE_BYTES, header.signature, "signature"),
            unusable=_accused(header.unusable),
            resume=header.resume,
        )


def encode_receipt(verdict: UploadVerdict) -> bytes:
    """Return the answer to an upload."""
    return pb.UploadReceipt(verdict=_VERDICTS[verdict]).SerializeToString()


def decode_receipt(data: bytes, peer: str) -> UploadVerdict:
    """Return the verdict that `peer` gave, or raise ProtocolViolation."""
    with blaming(peer):
        verdict = _VERDICTS_BY_NUMBER.get(pb.UploadReceipt.FromString(data).verdict)
        if verdict is None:
            raise MalformedError("verdict is not known")
        return verdict


def _accused(names: Sequence[str]) -> tuple[NodeId, ...]:
    accused = tuple(node_name(name, "unusable") for name in names)
    if accused:
        ascending(accused, "unusable")
    return accused


def _whole_parameters(size_bytes: int) -> int:
    if size_bytes == 0 or size_bytes % PARAMETER_BYTES:
        raise MalformedError(f"size_bytes must be a positive multiple of {PARAMETER_BYTES}")
    return size_bytes


def _message_of(data: memoryview) -> bytes:
    """Return the message whose one field is `data`, copied once where protobuf would copy three times."""
    return b"".join((_prefix(data.nbytes), data))


def _data_of(message: bytes) -> memoryview | None:
    """Return the data of a message that `_message_of` made, uncopied; None: protobuf must look at it."""
    for prefix_bytes in _PREFIX_BYTES:
        size_bytes = len(message) - prefix_bytes
        prefix = _prefix(max(0, size_bytes))
        if len(prefix) == prefix_bytes and message.startswith(prefix):
            return _bounded(memoryview(message)[prefix_bytes:])
    return None


def _prefix(size_bytes: int) -> bytes:
    """Return the tag of field 2 and the length of what follows, as protobuf writes them."""
    octets = [_DATA_TAG]
    while size_bytes > 0x7F:
        octets.append(size_bytes & 0x7F | 0x80)
        size_bytes >>= 7
    return bytes((*octets, size_bytes))


def _bounded(data: memoryview) -> memoryview:
    if not 1 <= data.nbytes <= CHUNK_BYTES:
        raise MalformedError(f"a chunk carries 1-{CHUNK_BYTES} bytes, not {data.nbytes}")
    return data
