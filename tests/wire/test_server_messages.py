"""What the server may not say, rule by rule."""

from collections.abc import Callable

import pytest

from fecosr.ids import NodeId
from fecosr.secagg.messages import ShareDelivery
from fecosr.secagg.parameters import MAX_CLIENTS
from fecosr.wire.checks import MalformedError
from fecosr.wire.generated.v1 import secagg_pb2 as pb
from fecosr.wire.server_messages import decode_server_message


def advert(client: str) -> pb.KeyAdvert:
    return pb.KeyAdvert(
        client=client,
        channel_public=bytes(32),
        mask_public=bytes(32),
        seed_commitment=bytes(32),
        signature=bytes(64),
    )


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        ([], f"must have 1-{MAX_CLIENTS} entries"),
        (["de", "de"], "names a node twice"),
        (["fr", "de"], "must be in ascending order"),
    ],
)
def test_adverts_and_survivors_are_ascending_and_unique(names: list[str], rule: str) -> None:
    adverts = pb.ServerMessage(advert_list=pb.AdvertList(adverts=map(advert, names)))
    survivors = pb.ServerMessage(survivor_list=pb.SurvivorList(survivors=names))
    for message in (adverts, survivors):
        with pytest.raises(MalformedError, match=rule):
            decode_server_message(message)


def test_a_proof_with_two_signatures_of_one_client_is_refused() -> None:
    signature = pb.ConsistencySignature(client="de", signature=bytes(64))
    proof = pb.ConsistencyProof(signatures=[signature, signature])
    with pytest.raises(MalformedError, match="signatures names a node twice"):
        decode_server_message(pb.ServerMessage(consistency_proof=proof))


def test_an_empty_delivery_is_refused() -> None:
    message = pb.ServerMessage(share_delivery=pb.ShareDelivery())
    with pytest.raises(MalformedError, match=f"shares must have 1-{MAX_CLIENTS} entries"):
        decode_server_message(message)


def test_a_message_of_no_known_kind_is_refused() -> None:
    with pytest.raises(MalformedError, match="ServerMessage has no known body"):
        decode_server_message(pb.ServerMessage())


def delivered() -> pb.DeliveredShares:
    sealed = pb.SealedShares(
        peer="de", ciphertext=bytes(82), seed_share_commitment=bytes(32), mask_key_share_commitment=bytes(32)
    )
    return pb.DeliveredShares(sealed=sealed, path=[bytes(32)] * 10, signature=bytes(64))


def test_a_delivery_of_an_honest_shape_is_taken() -> None:
    told = decode_server_message(pb.ServerMessage(share_delivery=pb.ShareDelivery(shares=[delivered()])))
    assert isinstance(told, ShareDelivery)
    assert len(told.shares[NodeId("de")].path) == 10


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda entry: entry.ClearField("sealed"), "DeliveredShares lacks sealed"),
        (lambda entry: entry.path.append(bytes(32)), "path holds more than 10 hashes"),
        (lambda entry: entry.path.__setitem__(0, bytes(31)), "path must be 32 bytes"),
        (lambda entry: entry.ClearField("signature"), "signature must be 64 bytes"),
    ],
)
def test_a_delivery_of_another_shape_is_refused(
    damage: Callable[[pb.DeliveredShares], object], rule: str
) -> None:
    entry = delivered()
    damage(entry)
    with pytest.raises(MalformedError, match=rule):
        decode_server_message(pb.ServerMessage(share_delivery=pb.ShareDelivery(shares=[entry])))
