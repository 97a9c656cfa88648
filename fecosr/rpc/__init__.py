"""Carry the messages of a federation between processes: gRPC over TLS with certificates on both sides.

The coordinator listens, market nodes dial out. What a peer may decide by itself (sizes, pace, when to
hang up) is bounded here, so that the state machines see well-formed messages of authenticated nodes only.
"""

import os

# gRPC's core writes lines of its own to standard error, which belongs to our log. What it has to say also
# reaches us as the status of calls; an operator who wants to see more sets the variable.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
