"""The gRPC settings of both ends, side by side, because they only work together."""

from typing import Final

from fecosr.wire.service import MAX_MESSAGE_BYTES

KEEPALIVE_SECONDS: Final = 20
"""How long a connection may be silent before either end asks whether the other is still there."""
KEEPALIVE_TIMEOUT_SECONDS: Final = 10
"""How long the other end may take to answer before the connection counts as lost."""
LARGEST_WINDOW_BYTES: Final = 8 << 20
"""How far a sender may be ahead of the receiver at most: 80 MB/s where an answer takes 100 ms."""
SMALLEST_WINDOW_BYTES: Final = 1 << 19
"""And at least: 5 MB/s there."""
AHEAD_BYTES: Final = 10 << 20
"""How far all nodes together may be ahead of the coordinator, up to 20 of them, with one upload each."""


def window_bytes(num_peers: int) -> int:
    """Return how far each of so many senders may be ahead: what they share, in equal parts."""
    return min(LARGEST_WINDOW_BYTES, max(SMALLEST_WINDOW_BYTES, AHEAD_BYTES // num_peers))


_BOTH_ENDS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A coordinator with many nodes must not hold as much of every stream as the network is quick to bring.
    ("grpc.http2.bdp_probe", 0),
)

_SERVER_OPTIONS: Final = (
    *_BOTH_ENDS,
    # A server hangs up on clients that ping more often than this; ours ping half as often.
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_SECONDS * 1000 // 2),
    # A second coordinator on the same port must fail to start, not share the nodes with the first.
    ("grpc.so_reuseport", 0),
    # Each call of a node may be a window ahead; it needs three: what is said, a model, an upload.
    ("grpc.max_concurrent_streams", 6),
    ("grpc.server_handshake_timeout_ms", 20_000),
)


def server_options(num_peers: int) -> tuple[tuple[str, int], ...]:
    """Return the settings of a server for so many nodes."""
    return (*_SERVER_OPTIONS, ("grpc.http2.lookahead_bytes", window_bytes(num_peers)))


CHANNEL_OPTIONS: Final = (
    *_BOTH_ENDS,
    # A node has one coordinator, and reads whatever it asked for at once.
    ("grpc.http2.lookahead_bytes", window_bytes(1)),
    # The node client decides how long to wait between two dials; the channel must not wait longer on its own.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Channels of other clients in this process neither share this connection nor its waiting times.
    ("grpc.use_local_subchannel_pool", 1),
)
