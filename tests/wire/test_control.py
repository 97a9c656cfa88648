"""The control stream: what is valid survives the trip, what is not is refused under the peer's name."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.errors import MisuseError, ProtocolViolation
from fecosr.federation.messages import CoordinatorMessage, FromClient, NodeMessage
from fecosr.ids import NodeId
from fecosr.secagg.messages import MaskedInput, UnmaskShares
from fecosr.wire.control import (
    decode_coordinator_message,
    decode_node_message,
    encode_coordinator_message,
    encode_node_message,
)
from fecosr.wire.generated.v1 import coordination_pb2 as pb
from tests.reference.message_strategies import coordinator_messages, node_messages


@given(node_messages)
def test_every_node_message_survives_the_trip(message: NodeMessage) -> None:
    assert decode_node_message(encode_node_message(message), "de") == message


@given(coordinator_messages)
def test_every_coordinator_message_survives_the_trip(message: CoordinatorMessage) -> None:
    assert decode_coordinator_message(encode_coordinator_message(message), "coordinator") == message


@given(node_messages)
def test_encoding_does_not_depend_on_the_order_of_a_mapping(message: NodeMessage) -> None:
    again = decode_node_message(encode_node_message(message), "de")
    assert encode_node_message(again) == encode_node_message(message)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_with_one_error(data: bytes) -> None:
    for decode in (decode_node_message, decode_coordinator_message):
        with contextlib.suppress(ProtocolViolation):
            decode(data, "de")


@given(node_messages, st.data())
def test_a_damaged_node_message_decodes_or_is_refused_with_one_error(
    message: NodeMessage, data: st.DataObject
) -> None:
    damaged = bytearray(encode_node_message(message))
    position = data.draw(st.integers(0, len(damaged) - 1))
    damaged[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolViolation):
        decode_node_message(bytes(damaged), "de")


@given(coordinator_messages, st.data())
def test_a_damaged_coordinator_message_decodes_or_is_refused_with_one_error(
    message: CoordinatorMessage, data: st.DataObject
) -> None:
    damaged = bytearray(encode_coordinator_message(message))
    position = data.draw(st.integers(0, len(damaged) - 1))
    damaged[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolViolation):
        decode_coordinator_message(bytes(damaged), "coordinator")


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x7a\x00"], ids=["empty", "no protobuf", "unknown kind"])
def test_what_is_no_message_names_the_peer(data: bytes) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        decode_node_message(data, "de")
    assert (caught.value.peer, caught.value.phase) == ("de", "decode")


def test_a_message_without_its_body_is_refused() -> None:
    with pytest.raises(ProtocolViolation, match="FromClient lacks body"):
        decode_node_message(b"\x12\x04\x08\x01\x10\x01", "de")
    with pytest.raises(ProtocolViolation, match="FromServer lacks body"):
        decode_coordinator_message(b"\x12\x04\x08\x01\x10\x01", "coordinator")


def test_the_payload_of_a_refused_message_stays_out_of_the_error() -> None:
    secret = b"\x5a" * 31
    envelope = pb.NodeEnvelope()
    envelope.from_client.round = envelope.from_client.attempt = 1
    envelope.from_client.body.unmask_shares.shares.add(peer="de", seed_share=secret)
    with pytest.raises(ProtocolViolation, match="seed_share must be 33 bytes, not 31") as caught:
        decode_node_message(envelope.SerializeToString(), "fr")
    assert "ZZZ" not in str(caught.value)


def test_a_masked_input_never_enters_the_control_stream() -> None:
    masked = MaskedInput(np.zeros(3, np.uint32), bytes(64))
    with pytest.raises(MisuseError, match="travels by upload"):
        encode_node_message(FromClient(1, 1, masked))


def test_both_shares_of_one_peer_are_never_encoded() -> None:
    both = UnmaskShares({NodeId("de"): bytes(33)}, {NodeId("de"): bytes(33)}, bytes(64))
    with pytest.raises(MisuseError, match="both shares"):
        encode_node_message(FromClient(1, 1, both))
