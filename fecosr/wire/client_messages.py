"""Encode and decode what a client says in a secure aggregation (proto/fecosr/v1/secagg.proto)."""

from fecosr.crypto.key_agreement import KEY_BYTES
from fecosr.crypto.shamir import SHARE_BYTES
from fecosr.crypto.signatures import SIGNATURE_BYTES
from fecosr.errors import MisuseError
from fecosr.ids import NodeId
from fecosr.secagg.messages import (
    ClientMessage,
    ConsistencySignature,
    EncryptedShares,
    KeyAdvert,
    MaskedInput,
    SealedShares,
    UnmaskShares,
    Withdrawal,
)
from fecosr.secagg.shares import CIPHERTEXT_BYTES
from fecosr.wire.checks import HASH_BYTES, ascending, chosen, exactly, node_name, text
from fecosr.wire.generated.v1 import secagg_pb2 as pb


def encode_client_message(message: ClientMessage) -> pb.ClientMessage:
    """Return `message` as protobuf.

    Raises:
        MisuseError: `message` is a masked input, which travels by upload, or reveals both shares of one peer.
    """
    match message:
        case KeyAdvert():
            return pb.ClientMessage(key_advert=encode_key_advert(message))
        case EncryptedShares():
            return pb.ClientMessage(encrypted_shares=_encode_deal(message))
        case ConsistencySignature():
            return pb.ClientMessage(consistency_signature=encode_consistency_signature(message))
        case UnmaskShares():
            return pb.ClientMessage(unmask_shares=_encode_unmask_shares(message))
        case Withdrawal():
            withdrawal = pb.Withdrawal(reason=message.reason, accused=message.accused or "")
            return pb.ClientMessage(withdrawal=withdrawal)
        case MaskedInput():
            raise MisuseError("a masked input travels by upload, never on the control stream")


def decode_client_message(message: pb.ClientMessage) -> ClientMessage:
    """Return what `message` stands for, refusing anything its .proto does not allow."""
    match chosen(message, "body"):
        case "key_advert":
            return decode_key_advert(message.key_advert)
        case "encrypted_shares":
            return _decode_deal(message.encrypted_shares)
        case "consistency_signature":
            return decode_consistency_signature(message.consistency_signature)
        case "unmask_shares":
            return _decode_unmask_shares(message.unmask_shares)
        case _:
            return _decode_withdrawal(message.withdrawal)


def _decode_withdrawal(withdrawal: pb.Withdrawal) -> Withdrawal:
    accused = node_name(withdrawal.accused, "accused") if withdrawal.accused else None
    return Withdrawal(text(withdrawal.reason, "reason"), accused)


def encode_key_advert(advert: KeyAdvert) -> pb.KeyAdvert:
    """Return `advert` as protobuf."""
    return pb.KeyAdvert(
        client=advert.client,
        channel_public=advert.channel_public,
        mask_public=advert.mask_public,
        seed_commitment=advert.seed_commitment,
        signature=advert.signature,
    )


def decode_key_advert(advert: pb.KeyAdvert) -> KeyAdvert:
    """Return what `advert` stands for, refusing wrong sizes and names."""
    return KeyAdvert(
        client=node_name(advert.client, "client"),
        channel_public=exactly(KEY_BYTES, advert.channel_public, "channel_public"),
        mask_public=exactly(KEY_BYTES, advert.mask_public, "mask_public"),
        seed_commitment=exactly(HASH_BYTES, advert.seed_commitment, "seed_commitment"),
        signature=exactly(SIGNATURE_BYTES, advert.signature, "signature"),
    )


def encode_consistency_signature(signature: ConsistencySignature) -> pb.ConsistencySignature:
    """Return `signature` as protobuf."""
    return pb.ConsistencySignature(client=signature.client, signature=signature.signature)


def decode_consistency_signature(signature: pb.ConsistencySignature) -> ConsistencySignature:
    """Return what `signature` stands for, refusing wrong sizes and names."""
    return ConsistencySignature(
        client=node_name(signature.client, "client"),
        signature=exactly(SIGNATURE_BYTES, signature.signature, "signature"),
    )


def encode_sealed(peer: NodeId, sealed: SealedShares) -> pb.SealedShares:
    """Return what is dealt to, or comes from, `peer` as protobuf."""
    return pb.SealedShares(
        peer=peer,
        ciphertext=sealed.ciphertext,
        seed_share_commitment=sealed.seed_share_commitment,
        mask_key_share_commitment=sealed.mask_key_share_commitment,
    )


def decode_sealed(entry: pb.SealedShares) -> tuple[NodeId, SealedShares]:
    """Return the peer and what `entry` stands for, refusing wrong sizes and names."""
    return node_name(entry.peer, "peer"), SealedShares(
        exactly(CIPHERTEXT_BYTES, entry.ciphertext, "ciphertext"),
        exactly(HASH_BYTES, entry.seed_share_commitment, "seed_share_commitment"),
        exactly(HASH_BYTES, entry.mask_key_share_commitment, "mask_key_share_commitment"),
    )


def _encode_deal(message: EncryptedShares) -> pb.EncryptedShares:
    shares = [encode_sealed(holder, message.sealed[holder]) for holder in sorted(message.sealed)]
    return pb.EncryptedShares(shares=shares, signature=message.signature)


def _decode_deal(message: pb.EncryptedShares) -> EncryptedShares:
    pairs = [decode_sealed(entry) for entry in message.shares]
    ascending([holder for holder, _ in pairs], "shares")
    return EncryptedShares(dict(pairs), exactly(SIGNATURE_BYTES, message.signature, "signature"))


def _encode_unmask_shares(message: UnmaskShares) -> pb.UnmaskShares:
    if message.seed_shares.keys() & message.mask_key_shares.keys():
        raise MisuseError("both shares of one peer may never be revealed in one session")
    revealed = {
        peer: pb.PeerShare(peer=peer, seed_share=share) for peer, share in message.seed_shares.items()
    }
    for peer, share in message.mask_key_shares.items():
        revealed[peer] = pb.PeerShare(peer=peer, mask_key_share=share)
    shares = [revealed[peer] for peer in sorted(revealed)]
    return pb.UnmaskShares(shares=shares, signature=message.signature)


def _decode_unmask_shares(message: pb.UnmaskShares) -> UnmaskShares:
    seed_shares: dict[NodeId, bytes] = {}
    mask_key_shares: dict[NodeId, bytes] = {}
    ascending([node_name(entry.peer, "peer") for entry in message.shares], "shares")
    for entry in message.shares:
        if chosen(entry, "share") == "seed_share":
            seed_shares[NodeId(entry.peer)] = exactly(SHARE_BYTES, entry.seed_share, "seed_share")
        else:
            mask_key_shares[NodeId(entry.peer)] = exactly(SHARE_BYTES, entry.mask_key_share, "mask_key_share")
    signature = exactly(SIGNATURE_BYTES, message.signature, "signature")
    return UnmaskShares(seed_shares, mask_key_shares, signature)
