from fecosr.rpc.channel_options import (
    AHEAD_BYTES,
    CHANNEL_OPTIONS,
    LARGEST_WINDOW_BYTES,
    SMALLEST_WINDOW_BYTES,
    server_options,
    window_bytes,
)
from fecosr.wire.service import MAX_MESSAGE_BYTES
from fecosr.wire.transfers import CHUNK_BYTES

SERVER, CHANNEL = dict(server_options(3)), dict(CHANNEL_OPTIONS)


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


def test_neither_end_leaves_it_to_the_network_how_much_it_reads_ahead() -> None:
    for options in (SERVER, CHANNEL):
        # A fast network would fill the coordinator's memory with every stream.
        assert options["grpc.http2.bdp_probe"] == 0
    assert CHANNEL["grpc.http2.lookahead_bytes"] == LARGEST_WINDOW_BYTES
    assert SERVER["grpc.http2.lookahead_bytes"] == window_bytes(3)


def test_few_nodes_get_large_windows_and_many_share_what_there_is() -> None:
    assert window_bytes(1) == LARGEST_WINDOW_BYTES
    assert window_bytes(3) == AHEAD_BYTES // 3
    assert window_bytes(20) == window_bytes(1024) == SMALLEST_WINDOW_BYTES < CHUNK_BYTES
    assert all(nodes * window_bytes(nodes) <= AHEAD_BYTES for nodes in range(1, 21))
