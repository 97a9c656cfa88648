from fecosr.rpc.channel_options import CHANNEL_OPTIONS, SERVER_OPTIONS, WINDOW_BYTES
from fecosr.wire.service import MAX_MESSAGE_BYTES
from fecosr.wire.transfers import CHUNK_BYTES

SERVER, CHANNEL = dict(SERVER_OPTIONS), dict(CHANNEL_OPTIONS)


def test_a_server_accepts_pings_as_often_as_nodes_send_them() -> None:
    fewest_ms = SERVER["grpc.http2.min_ping_interval_without_data_ms"]
    assert fewest_ms < CHANNEL["grpc.keepalive_time_ms"]
    assert (
        CHANNEL["grpc.keepalive_permit_without_calls"] == SERVER["grpc.keepalive_permit_without_calls"] == 1
    )


def test_both_ends_take_messages_of_the_same_size() -> None:
    for options in (SERVER, CHANNEL):
        assert options["grpc.max_receive_message_length"] == MAX_MESSAGE_BYTES
        assert options["grpc.max_send_message_length"] == MAX_MESSAGE_BYTES
    assert CHUNK_BYTES < MAX_MESSAGE_BYTES


def test_neither_end_reads_ahead_more_than_a_window() -> None:
    for options in (SERVER, CHANNEL):
        # Were the window left to gRPC, a fast network would fill the coordinator's memory with every stream.
        assert options["grpc.http2.bdp_probe"] == 0
        assert options["grpc.http2.lookahead_bytes"] == WINDOW_BYTES <= CHUNK_BYTES
