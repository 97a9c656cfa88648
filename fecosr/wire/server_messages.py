"""Encode and decode what the server says in a secure aggregation (proto/fecosr/v1/secagg.proto)."""

from typing import Final

from fecosr.crypto.signatures import SIGNATURE_BYTES
from fecosr.ids import NodeId
from fecosr.secagg.messages import (
    AdvertList,
    ConsistencyProof,
    DeliveredShares,
    ServerMessage,
    ShareDelivery,
    SurvivorList,
)
from fecosr.secagg.parameters import MAX_CLIENTS
from fecosr.wire.checks import (
    HASH_BYTES,
    MalformedError,
    ascending,
    chosen,
    exactly,
    node_name,
    present,
    unique,
)
from fecosr.wire.client_messages import (
    decode_consistency_signature,
    decode_key_advert,
    decode_sealed,
    encode_consistency_signature,
    encode_key_advert,
    encode_sealed,
)
from fecosr.wire.generated.v1 import secagg_pb2 as pb

MAX_PATH: Final = (MAX_CLIENTS - 1).bit_length()
"""The longest way from a leaf to the root over the shares that one client deals."""


def encode_server_message(message: ServerMessage) -> pb.ServerMessage:
    """Return `message` as protobuf."""
    match message:
        case AdvertList():
            adverts = pb.AdvertList(adverts=map(encode_key_advert, message.adverts))
            return pb.ServerMessage(advert_list=adverts)
        case ShareDelivery():
            return pb.ServerMessage(share_delivery=_encode_delivery(message))
        case SurvivorList():
            return pb.ServerMessage(survivor_list=pb.SurvivorList(survivors=message.survivors))
        case ConsistencyProof():
            proof = pb.ConsistencyProof(signatures=map(encode_consistency_signature, message.signatures))
            return pb.ServerMessage(consistency_proof=proof)


def decode_server_message(message: pb.ServerMessage) -> ServerMessage:
    """Return what `message` stands for, refusing anything its .proto does not allow."""
    match chosen(message, "body"):
        case "advert_list":
            return _decode_advert_list(message.advert_list)
        case "share_delivery":
            return _decode_delivery(message.share_delivery)
        case "survivor_list":
            return _decode_survivor_list(message.survivor_list)
        case _:
            return _decode_consistency_proof(message.consistency_proof)


def _decode_advert_list(message: pb.AdvertList) -> AdvertList:
    adverts = tuple(map(decode_key_advert, message.adverts))
    ascending([advert.client for advert in adverts], "adverts")
    return AdvertList(adverts)


def _encode_delivery(message: ShareDelivery) -> pb.ShareDelivery:
    return pb.ShareDelivery(
        shares=[
            pb.DeliveredShares(
                sealed=encode_sealed(dealer, message.shares[dealer].sealed),
                path=message.shares[dealer].path,
                signature=message.shares[dealer].signature,
            )
            for dealer in sorted(message.shares)
        ]
    )


def _decode_delivery(message: pb.ShareDelivery) -> ShareDelivery:
    pairs = [_decode_delivered(entry) for entry in message.shares]
    ascending([dealer for dealer, _ in pairs], "shares")
    return ShareDelivery(dict(pairs))


def _decode_delivered(entry: pb.DeliveredShares) -> tuple[NodeId, DeliveredShares]:
    present(entry, "sealed")
    dealer, sealed = decode_sealed(entry.sealed)
    if len(entry.path) > MAX_PATH:
        raise MalformedError(f"path holds more than {MAX_PATH} hashes")
    path = tuple(exactly(HASH_BYTES, node, "path") for node in entry.path)
    return dealer, DeliveredShares(sealed, path, exactly(SIGNATURE_BYTES, entry.signature, "signature"))


def _decode_survivor_list(message: pb.SurvivorList) -> SurvivorList:
    survivors = tuple(node_name(name, "survivors") for name in message.survivors)
    ascending(survivors, "survivors")
    return SurvivorList(survivors)


def _decode_consistency_proof(message: pb.ConsistencyProof) -> ConsistencyProof:
    signatures = tuple(map(decode_consistency_signature, message.signatures))
    unique([signature.client for signature in signatures], "signatures")
    return ConsistencyProof(signatures)
