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
    EncryptedShares,
    KeyAdvert,
    MaskedInput,
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
            return {"encrypted_shares": _hex_of(message.ciphertexts)}
        case ShareDelivery():
            return {"share_delivery": _hex_of(message.ciphertexts)}
        case MaskedInput():
            octets = np.ascontiguousarray(message.vector).tobytes()
            return {"masked_input": {"vector": octets.hex(), "signature": message.signature.hex()}}
        case SurvivorList():
            return {"survivor_list": list(message.survivors)}
        case ConsistencySignature():
            return {"consistency_signature": _signature_to_json(message)}
        case ConsistencyProof():
            return {"consistency_proof": [_signature_to_json(signed) for signed in message.signatures]}
        case UnmaskShares():
            shares = {"seed_shares": message.seed_shares, "mask_key_shares": message.mask_key_shares}
            return {"unmask_shares": {kind: _hex_of(values) for kind, values in shares.items()}}
    raise TypeError(f"no vector holds a {type(message).__name__}")


def client_message(body: Json, ring_bits: int) -> ClientMessage:
    """Return what a client says."""
    ((kind, content),) = body.items()
    match kind:
        case "key_advert":
            return advert_from_json(content)
        case "encrypted_shares":
            return EncryptedShares(_bytes_of(content))
        case "masked_input":
            vector = from_octets(bytes.fromhex(content["vector"]), ring_bits)
            return MaskedInput(vector, bytes.fromhex(content["signature"]))
        case "consistency_signature":
            return _signature_from_json(content)
        case _:
            return UnmaskShares(_bytes_of(content["seed_shares"]), _bytes_of(content["mask_key_shares"]))


def server_message(body: Json) -> ServerMessage:
    """Return what the server says."""
    ((kind, content),) = body.items()
    match kind:
        case "advert_list":
            return AdvertList(tuple(map(advert_from_json, content)))
        case "share_delivery":
            return ShareDelivery(_bytes_of(content))
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


def _signature_to_json(signed: ConsistencySignature) -> Json:
    return {"client": signed.client, "signature": signed.signature.hex()}


def _signature_from_json(content: Json) -> ConsistencySignature:
    return ConsistencySignature(NodeId(content["client"]), bytes.fromhex(content["signature"]))


def _hex_of(values: Mapping[NodeId, bytes]) -> dict[str, str]:
    return {name: values[name].hex() for name in sorted(values)}


def _bytes_of(values: Mapping[str, str]) -> dict[NodeId, bytes]:
    return {NodeId(name): bytes.fromhex(value) for name, value in values.items()}
