"""What a client may not say, rule by rule."""

from collections.abc import Callable

import pytest

from fecosr.secagg.parameters import MAX_CLIENTS
from fecosr.secagg.shares import CIPHERTEXT_BYTES
from fecosr.wire.checks import MalformedError
from fecosr.wire.client_messages import decode_client_message
from fecosr.wire.generated.v1 import secagg_pb2 as pb

Damage = Callable[[pb.ClientMessage], object]


def sealed_shares(peer: str) -> pb.SealedShares:
    return pb.SealedShares(
        peer=peer,
        ciphertext=bytes(CIPHERTEXT_BYTES),
        seed_share_commitment=bytes(32),
        mask_key_share_commitment=bytes(32),
    )


def key_advert() -> pb.ClientMessage:
    return pb.ClientMessage(
        key_advert=pb.KeyAdvert(
            client="de",
            channel_public=bytes(32),
            mask_public=bytes(32),
            seed_commitment=bytes(32),
            signature=bytes(64),
        )
    )


@pytest.mark.parametrize("field", ["channel_public", "mask_public", "seed_commitment", "signature"])
@pytest.mark.parametrize("value", [b"", bytes(31), bytes(33), bytes(65)])
def test_key_advert_refuses_wrong_sizes(field: str, value: bytes) -> None:
    message = key_advert()
    setattr(message.key_advert, field, value)
    with pytest.raises(MalformedError, match=f"{field} must be"):
        decode_client_message(message)


@pytest.mark.parametrize("name", ["", "DE", "coordinator", "a" * 33, "-de", "de\n", "d\u00e9"])
def test_key_advert_refuses_wrong_names(name: str) -> None:
    message = key_advert()
    message.key_advert.client = name
    with pytest.raises(MalformedError, match="client is not a valid name"):
        decode_client_message(message)


@pytest.mark.parametrize(
    ("peers", "rule"),
    [
        ([], f"must have 1-{MAX_CLIENTS} entries, not 0"),
        ([f"n{i:04}" for i in range(MAX_CLIENTS + 1)], f"must have 1-{MAX_CLIENTS} entries"),
        (["de", "de"], "names a node twice"),
        (["fr", "de"], "must be in ascending order"),
        (["de", "FR"], "peer is not a valid name"),
    ],
)
def test_lists_by_peer_refuse_wrong_names_counts_and_order(peers: list[str], rule: str) -> None:
    sealed = pb.ClientMessage(encrypted_shares=pb.EncryptedShares())
    revealed = pb.ClientMessage(unmask_shares=pb.UnmaskShares())
    for peer in peers:
        sealed.encrypted_shares.shares.append(sealed_shares(peer))
        revealed.unmask_shares.shares.add(peer=peer, seed_share=bytes(33))
    for message in (sealed, revealed):
        with pytest.raises(MalformedError, match=rule):
            decode_client_message(message)


@pytest.mark.parametrize("name", ["ciphertext", "seed_share_commitment", "mask_key_share_commitment"])
def test_sealed_shares_with_a_part_of_another_size_are_refused(name: str) -> None:
    message = pb.ClientMessage()
    sealed = sealed_shares("de")
    right = len(getattr(sealed, name))
    setattr(sealed, name, bytes(right - 1))
    message.encrypted_shares.shares.append(sealed)
    with pytest.raises(MalformedError, match=f"{name} must be {right} bytes, not {right - 1}"):
        decode_client_message(message)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_deals_and_reveals_without_a_whole_signature_are_refused(size: int) -> None:
    dealt = pb.ClientMessage(
        encrypted_shares=pb.EncryptedShares(shares=[sealed_shares("de")], signature=bytes(size))
    )
    revealed = pb.ClientMessage(unmask_shares=pb.UnmaskShares(signature=bytes(size)))
    revealed.unmask_shares.shares.add(peer="de", seed_share=bytes(33))
    for message in (dealt, revealed):
        with pytest.raises(MalformedError, match="signature must be 64 bytes"):
            decode_client_message(message)


def test_one_peer_cannot_appear_with_both_kinds_of_share() -> None:
    message = pb.ClientMessage()
    message.unmask_shares.shares.add(peer="de", seed_share=bytes(33))
    message.unmask_shares.shares.add(peer="de", mask_key_share=bytes(33))
    with pytest.raises(MalformedError, match="names a node twice"):
        decode_client_message(message)


def test_a_peer_without_a_share_is_refused() -> None:
    message = pb.ClientMessage()
    message.unmask_shares.shares.add(peer="de")
    with pytest.raises(MalformedError, match="PeerShare has no known share"):
        decode_client_message(message)


@pytest.mark.parametrize(
    "damage",
    [
        lambda message: message.consistency_signature.MergeFrom(
            pb.ConsistencySignature(client="de", signature=bytes(63))
        ),
        lambda message: message.withdrawal.SetInParent(),
        lambda message: message.withdrawal.MergeFrom(pb.Withdrawal(reason="x" * 4097)),
        pb.ClientMessage.Clear,
    ],
    ids=["short signature", "no reason", "endless reason", "nothing at all"],
)
def test_other_client_messages_refuse(damage: Damage) -> None:
    message = pb.ClientMessage()
    damage(message)
    with pytest.raises(MalformedError):
        decode_client_message(message)
