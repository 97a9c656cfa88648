"""Encode and decode what the server says in a secure aggregation (proto/fecosr/v1/secagg.proto)."""

from fecosr.secagg.messages import (
    AdvertList,
    ConsistencyProof,
    ServerMessage,
    ShareDelivery,
    SurvivorList,
)
from fecosr.wire.checks import ascending, chosen, node_name, unique
from fecosr.wire.client_messages import (
    decode_consistency_signature,
    decode_key_advert,
    decode_sealed,
    encode_consistency_signature,
    encode_key_advert,
    encode_sealed,
)
from fecosr.wire.generated.v1 import secagg_pb2 as pb


def encode_server_message(message: ServerMessage) -> pb.ServerMessage:
    """Return `message` as protobuf."""
    match message:
        case AdvertList():
            adverts = pb.AdvertList(adverts=map(encode_key_advert, message.adverts))
            return pb.ServerMessage(advert_list=adverts)
        case ShareDelivery():
            shares = pb.ShareDelivery(shares=encode_sealed(message.ciphertexts))
            return pb.ServerMessage(share_delivery=shares)
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
            return ShareDelivery(decode_sealed(message.share_delivery.shares))
        case "survivor_list":
            return _decode_survivor_list(message.survivor_list)
        case _:
            return _decode_consistency_proof(message.consistency_proof)


def _decode_advert_list(message: pb.AdvertList) -> AdvertList:
    adverts = tuple(map(decode_key_advert, message.adverts))
    ascending([advert.client for advert in adverts], "adverts")
    return AdvertList(adverts)


def _decode_survivor_list(message: pb.SurvivorList) -> SurvivorList:
    survivors = tuple(node_name(name, "survivors") for name in message.survivors)
    ascending(survivors, "survivors")
    return SurvivorList(survivors)


def _decode_consistency_proof(message: pb.ConsistencyProof) -> ConsistencyProof:
    signatures = tuple(map(decode_consistency_signature, message.signatures))
    unique([signature.client for signature in signatures], "signatures")
    return ConsistencyProof(signatures)
