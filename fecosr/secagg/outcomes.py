"""What a server's session yields: records to store, envelopes to send, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from fecosr.ids import NodeId
from fecosr.secagg.evidence import Conviction
from fecosr.secagg.messages import ConsistencyProof, KeyAdvert, ServerMessage


class DropoutReason(StrEnum):
    """Say why a client left the session.

    ISOLATED is nobody's fault: so many neighbours of the client left that it could not hide among the rest.
    """

    DISCONNECTED = "disconnected"
    DEADLINE = "deadline"
    WITHDREW = "withdrew"
    VIOLATION = "violation"
    ISOLATED = "isolated"


class AbortReason(StrEnum):
    """Say why no sum was opened.

    Too few clients in one of the five phases, so many complaints about somebody's shares that too few others
    hold usable ones, or shares that open nothing.
    """

    TOO_FEW_ADVERTS = "too_few_adverts"
    TOO_FEW_SHARES = "too_few_shares"
    TOO_FEW_INPUTS = "too_few_inputs"
    TOO_FEW_SIGNATURES = "too_few_signatures"
    TOO_FEW_UNMASK_SHARES = "too_few_unmask_shares"
    UNUSABLE_SHARES = "unusable_shares"
    BAD_SHARES = "bad_shares"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Address a message to one client."""

    to: NodeId
    message: ServerMessage


@dataclass(frozen=True, slots=True)
class CohortFixed:
    """Record whose keys the session was formed of."""

    session: bytes
    adverts: tuple[KeyAdvert, ...]


@dataclass(frozen=True, slots=True)
class SurvivorsFixed:
    """Record, before anybody is told, whose vectors are in the sum and who had left by then and why."""

    session: bytes
    survivors: tuple[NodeId, ...]
    dropouts: Mapping[NodeId, DropoutReason]


@dataclass(frozen=True, slots=True)
class UnmaskingBegun:
    """Record, before the proof leaves, that from here on the survivors' sum may be open."""

    session: bytes


ServerRecord = CohortFixed | SurvivorsFixed | UnmaskingBegun


@dataclass(frozen=True, slots=True, eq=False)
class Completed:
    """End a session with the sum.

    Attributes:
        total: sum of the survivors' vectors modulo 2^ring_bits, uint32 [length].
        survivors: whose vectors it is the sum of, sorted.
        dropouts: everybody else who was expected, and why they are not in it.
        departed: survivors that left after their vector was in the sum, and why.
        session: the session's id.
        proof: the signatures on the survivor list.
        adverts: the adverts of the cohort, sorted by client.
        convictions: who dealt or revealed wrong shares, or is complained of by too many, and the evidence.
    """

    total: npt.NDArray[np.uint32] = field(repr=False)
    survivors: tuple[NodeId, ...]
    dropouts: Mapping[NodeId, DropoutReason]
    departed: Mapping[NodeId, DropoutReason]
    session: bytes
    proof: ConsistencyProof
    adverts: tuple[KeyAdvert, ...]
    convictions: tuple[Conviction, ...]


@dataclass(frozen=True, slots=True)
class Aborted:
    """End a session without a sum.

    Attributes:
        reason: which requirement failed.
        detail: the same in a sentence with the numbers; names clients, never payload.
        dropouts: everybody who left, and why.
        unmasked: whether shares were asked for, so that a lying server could have opened the sum anyway.
        convictions: who dealt or revealed wrong shares, or is complained of by too many, and the evidence.
    """

    reason: AbortReason
    detail: str
    dropouts: Mapping[NodeId, DropoutReason]
    unmasked: bool
    convictions: tuple[Conviction, ...] = ()
