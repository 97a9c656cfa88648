"""The gRPC settings of both ends, side by side, because they only work together."""

from typing import Final

from fecosr.wire.service import MAX_MESSAGE_BYTES

KEEPALIVE_SECONDS: Final = 20
"""How long a connection may be silent before either end asks whether the other is still there."""
KEEPALIVE_TIMEOUT_SECONDS: Final = 10
"""How long the other end may take to answer before the connection counts as lost."""
WINDOW_BYTES: Final = 1 << 19
"""How far a sender may be ahead of the receiver: 5 MB/s where an answer takes 100 ms."""

_BOTH_ENDS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A coordinator with many nodes must not hold as much of every stream as the network is quick to bring.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
)

SERVER_OPTIONS: Final = (
    *_BOTH_ENDS,
    # A server hangs up on clients that ping more often than this; ours ping half as often.
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_SECONDS * 1000 // 2),
    # A second coordinator on the same port must fail to start, not share the nodes with the first.
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 16),
    ("grpc.server_handshake_timeout_ms", 20_000),
)

CHANNEL_OPTIONS: Final = (
    *_BOTH_ENDS,
    # The node client decides how long to wait between two dials; the channel must not wait longer on its own.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Channels of other clients in this process neither share this connection nor its waiting times.
    ("grpc.use_local_subchannel_pool", 1),
)
