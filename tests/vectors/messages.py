"""Messages of a secure aggregation as the JSON values of the vectors, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fecosr.ids import NodeId
from fecosr.secagg.messages import (
    AdvertList,
    ClientMessage,
    ConsistencyProof,
    ConsistencySignature,
    DeliveredShares,
    EncryptedShares,
    KeyAdvert,
    MaskedInput,
    SealedShares,
    ServerMessage,
    ShareDelivery,
    SurvivorList,
    UnmaskShares,
)
from fecosr.secagg.packing import from_octets

Json = dict[str, Any]


def to_json(message: ClientMessage | ServerMessage) -> Json:
    """Return `message` under the name of its kind."""
    match message:
        case KeyAdvert():
            return {"key_advert": advert_to_json(message)}
        case AdvertList():
            return {"advert_list": [advert_to_json(advert) for advert in message.adverts]}
        case EncryptedShares():
            dealt = {name: _sealed_to_json(message.sealed[name]) for name in sorted(message.sealed)}
            return {"encrypted_shares": {"dealt": dealt, "signature": message.signature.hex()}}
        case ShareDelivery():
            delivered = {name: delivered_to_json(message.shares[name]) for name in sorted(message.shares)}
            return {"share_delivery": delivered}
        case MaskedInput():
            octets = np.ascontiguousarray(message.vector).tobytes()
            signed = {"vector": octets.hex(), "unusable": list(message.unusable)}
            return {"masked_input": {**signed, "signature": message.signature.hex()}}
        case SurvivorList():
            return {"survivor_list": list(message.survivors)}
        case ConsistencySignature():
            return {"consistency_signature": _signature_to_json(message)}
        case ConsistencyProof():
            return {"consistency_proof": [_signature_to_json(signed) for signed in message.signatures]}
        case UnmaskShares():
            shares = {"seed_shares": message.seed_shares, "mask_key_shares": message.mask_key_shares}
            revealed = {kind: _hex_of(values) for kind, values in shares.items()}
            return {"unmask_shares": {**revealed, "signature": message.signature.hex()}}
    raise TypeError(f"no vector holds a {type(message).__name__}")


def client_message(body: Json, ring_bits: int) -> ClientMessage:
    """Return what a client says."""
    ((kind, content),) = body.items()
    match kind:
        case "key_advert":
            return advert_from_json(content)
        case "encrypted_shares":
            dealt = {NodeId(name): _sealed_from_json(entry) for name, entry in content["dealt"].items()}
            return EncryptedShares(dealt, bytes.fromhex(content["signature"]))
        case "masked_input":
            vector = from_octets(bytes.fromhex(content["vector"]), ring_bits)
            unusable = tuple(content["unusable"])
            return MaskedInput(vector, bytes.fromhex(content["signature"]), unusable=unusable)
        case "consistency_signature":
            return _signature_from_json(content)
        case _:
            seeds, keys = _bytes_of(content["seed_shares"]), _bytes_of(content["mask_key_shares"])
            return UnmaskShares(seeds, keys, bytes.fromhex(content["signature"]))


def server_message(body: Json) -> ServerMessage:
    """Return what the server says."""
    ((kind, content),) = body.items()
    match kind:
        case "advert_list":
            return AdvertList(tuple(map(advert_from_json, content)))
        case "share_delivery":
            return ShareDelivery({NodeId(name): _delivered_from_json(it) for name, it in content.items()})
        case "survivor_list":
            return SurvivorList(tuple(content))
        case _:
            return ConsistencyProof(tuple(map(_signature_from_json, content)))


def advert_to_json(advert: KeyAdvert) -> Json:
    """Return one advert."""
    names = ("channel_public", "mask_public", "seed_commitment", "signature")
    return {"client": advert.client, **{name: getattr(advert, name).hex() for name in names}}


def advert_from_json(content: Json) -> KeyAdvert:
    """Return one advert."""
    names = ("channel_public", "mask_public", "seed_commitment", "signature")
    return KeyAdvert(NodeId(content["client"]), *(bytes.fromhex(content[name]) for name in names))


_SEALED = ("ciphertext", "seed_share_commitment", "mask_key_share_commitment")


def _sealed_to_json(sealed: SealedShares) -> Json:
    return {name: getattr(sealed, name).hex() for name in _SEALED}


def _sealed_from_json(content: Json) -> SealedShares:
    return SealedShares(*(bytes.fromhex(content[name]) for name in _SEALED))


def delivered_to_json(delivered: DeliveredShares) -> Json:
    """Return what a holder is told of one deal."""
    path = [node.hex() for node in delivered.path]
    return {**_sealed_to_json(delivered.sealed), "path": path, "signature": delivered.signature.hex()}


def _delivered_from_json(content: Json) -> DeliveredShares:
    path = tuple(map(bytes.fromhex, content["path"]))
    return DeliveredShares(_sealed_from_json(content), path, bytes.fromhex(content["signature"]))


def _signature_to_json(signed: ConsistencySignature) -> Json:
    return {"client": signed.client, "signature": signed.signature.hex()}


def _signature_from_json(content: Json) -> ConsistencySignature:
    return ConsistencySignature(NodeId(content["client"]), bytes.fromhex(content["signature"]))


def _hex_of(values: Mapping[NodeId, bytes]) -> dict[str, str]:
    return {name: values[name].hex() for name in sorted(values)}


def _bytes_of(values: Mapping[str, str]) -> dict[NodeId, bytes]:
    return {NodeId(name): bytes.fromhex(value) for name, value in values.items()}
