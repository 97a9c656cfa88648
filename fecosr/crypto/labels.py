"""Domain separation: every byte string that is hashed, signed or fed to a derivation names its purpose."""

import hashlib
from enum import StrEnum
from typing import Final

HASH_BYTES: Final = 32
LENGTH_BYTES: Final = 8
"""Width of the big-endian length in front of every part of an encoding."""


class Label(StrEnum):
    """Name every purpose a byte string can have, so that none is ever mistaken for another."""

    PARTICIPATION = "fecosr/v1/participation"
    OPTIMISER_STATE = "fecosr/v1/optimiser-state"
    RELEASES = "fecosr/v1/releases"
    ROUND_MANIFEST = "fecosr/v1/round-manifest"
    RUN_CLOSED = "fecosr/v1/run-closed"
    CHECKPOINT = "fecosr/v1/checkpoint"
    COUNTERSIGNATURE = "fecosr/v1/countersignature"
    LEDGER_RECORD = "fecosr/v1/ledger-record"
    KEY_ADVERT = "fecosr/v1/key-advert"
    SEED_COMMITMENT = "fecosr/v1/seed-commitment"
    SESSION = "fecosr/v1/session"
    CHANNEL_KEY = "fecosr/v1/channel-key"
    GRAPH = "fecosr/v1/graph"
    PAIRWISE_MASK = "fecosr/v1/pairwise-mask"
    SELF_MASK = "fecosr/v1/self-mask"
    SHARE_AAD = "fecosr/v1/share-aad"
    SHAMIR_COEFFICIENTS = "fecosr/v1/shamir-coefficients"
    SHARE_COMMITMENT = "fecosr/v1/share-commitment"
    DEALT_SHARES = "fecosr/v1/dealt-shares"
    DEAL = "fecosr/v1/deal"
    SHARE_RECEIPT = "fecosr/v1/share-receipt"
    REVEALED_SHARES = "fecosr/v1/revealed-shares"
    MASKED_INPUT = "fecosr/v1/masked-input"
    SURVIVORS = "fecosr/v1/survivors"
    CLIENT_SECRETS = "fecosr/v1/client-secrets"
    ROUNDING = "fecosr/v1/rounding"
    ROTATION_SIGNS = "fecosr/v1/rotation-signs"
    ENROLMENT_REQUEST = "fecosr/v1/enrolment-request"
    IDENTITY_HANDOVER = "fecosr/v1/identity-handover"
    KIT_PACKAGE = "fecosr/v1/kit-package"
    NOISE = "fecosr/v1/noise"
    USER_SAMPLING = "fecosr/v1/user-sampling"
    PRIVATE_STEP = "fecosr/v1/private-step"


def encode(label: Label, *parts: bytes) -> bytes:
    """Return one byte string that stands for `label` and `parts` and for nothing else.

    Guarantees:
        Injective: label and every part carry an 8-byte big-endian length, so no two different calls encode
        alike, and no encoding is a prefix of another with as many parts.
    """
    pieces = (label.value.encode(), *parts)
    return b"".join(len(piece).to_bytes(LENGTH_BYTES, "big") + piece for piece in pieces)


def sha256(data: bytes | bytearray | memoryview) -> bytes:
    """Return the 32-byte SHA-256 of `data`."""
    return hashlib.sha256(data).digest()
