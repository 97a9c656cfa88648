"""Carry the messages of a federation between processes: gRPC over TLS with certificates on both sides.

The coordinator listens, market nodes dial out. What a peer may decide by itself (sizes, pace, when to
hang up) is bounded here, so that the state machines see well-formed messages of authenticated nodes only.
"""
