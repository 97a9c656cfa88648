"""Encode and decode whole messages of the control stream: the only door between dataclasses and bytes."""

from fecosr.federation.messages import (
    CoordinatorMessage,
    Finished,
    FromClient,
    FromServer,
    HeadSigned,
    Hello,
    MetricShared,
    NodeMessage,
    Rejected,
    RoundClosed,
    RoundTask,
    RunClosed,
)
from fecosr.wire import federation
from fecosr.wire.checks import at_least, blaming, chosen, present
from fecosr.wire.client_messages import decode_client_message, encode_client_message
from fecosr.wire.generated.v1 import coordination_pb2 as pb
from fecosr.wire.generated.v1 import federation_pb2
from fecosr.wire.server_messages import decode_server_message, encode_server_message


def encode_node_message(message: NodeMessage) -> bytes:
    """Return the bytes of a message from a node to the coordinator.

    Raises:
        MisuseError: `message` carries a masked input, which travels by upload, or both shares of one peer.
    """
    match message:
        case Hello():
            envelope = pb.NodeEnvelope(hello=federation.encode_hello(message))
        case FromClient():
            body = encode_client_message(message.body)
            carried = federation_pb2.FromClient(round=message.round, attempt=message.attempt, body=body)
            envelope = pb.NodeEnvelope(from_client=carried)
        case HeadSigned():
            envelope = pb.NodeEnvelope(head_signed=federation.encode_head_signed(message))
        case Finished():
            envelope = pb.NodeEnvelope(finished=federation_pb2.Finished(model_hash=message.model_hash))
        case MetricShared():
            envelope = pb.NodeEnvelope(metric_shared=federation.encode_metric_shared(message))
    return envelope.SerializeToString()


def decode_node_message(data: bytes, peer: str) -> NodeMessage:
    """Return the message that `peer`, a node, sent as `data`.

    Raises:
        ProtocolViolation: `data` is not exactly what proto/ documents.
    """
    with blaming(peer):
        envelope = pb.NodeEnvelope.FromString(data)
        match chosen(envelope, "body"):
            case "hello":
                return federation.decode_hello(envelope.hello)
            case "from_client":
                return _decode_from_client(envelope.from_client)
            case "metric_shared":
                return federation.decode_metric_shared(envelope.metric_shared)
            case "head_signed":
                return federation.decode_head_signed(envelope.head_signed)
            case _:
                return federation.decode_finished(envelope.finished)


def encode_coordinator_message(message: CoordinatorMessage) -> bytes:
    """Return the bytes of a message from the coordinator to a node."""
    match message:
        case RoundTask():
            envelope = pb.CoordinatorEnvelope(round_task=federation.encode_round_task(message))
        case FromServer():
            body = encode_server_message(message.body)
            carried = federation_pb2.FromServer(round=message.round, attempt=message.attempt, body=body)
            envelope = pb.CoordinatorEnvelope(from_server=carried)
        case RoundClosed():
            envelope = pb.CoordinatorEnvelope(round_closed=federation.encode_round_closed(message))
        case RunClosed():
            envelope = pb.CoordinatorEnvelope(run_closed=federation.encode_run_closed(message))
        case Rejected():
            envelope = pb.CoordinatorEnvelope(rejected=federation_pb2.Rejected(reason=message.reason))
    return envelope.SerializeToString()


def decode_coordinator_message(data: bytes, peer: str) -> CoordinatorMessage:
    """Return the message that `peer`, the coordinator, sent as `data`.

    Raises:
        ProtocolViolation: `data` is not exactly what proto/ documents.
    """
    with blaming(peer):
        envelope = pb.CoordinatorEnvelope.FromString(data)
        match chosen(envelope, "body"):
            case "round_task":
                return federation.decode_round_task(envelope.round_task)
            case "from_server":
                return _decode_from_server(envelope.from_server)
            case "round_closed":
                return federation.decode_round_closed(envelope.round_closed)
            case "run_closed":
                return federation.decode_run_closed(envelope.run_closed)
            case _:
                return federation.decode_rejected(envelope.rejected)


def _decode_from_client(message: federation_pb2.FromClient) -> FromClient:
    present(message, "body")
    return FromClient(
        round=message.round,
        attempt=at_least(1, message.attempt, "attempt"),
        body=decode_client_message(message.body),
    )


def _decode_from_server(message: federation_pb2.FromServer) -> FromServer:
    present(message, "body")
    return FromServer(
        round=message.round,
        attempt=at_least(1, message.attempt, "attempt"),
        body=decode_server_message(message.body),
    )
