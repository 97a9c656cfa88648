"""What a node keeps of what the coordinator says, so that it cannot say something else later."""

from dataclasses import replace

from fecosr.errors import LedgerError, ProtocolViolation
from fecosr.federation.contribution import NodeSetup
from fecosr.federation.effects import CheckpointKept, ReleaseSeen, SketchSeen, ToCoordinator
from fecosr.federation.memory import Memory
from fecosr.federation.messages import HeadSigned, Release, SketchRelease
from fecosr.federation.sketch import SKETCH_ROUND, SketchTerms
from fecosr.ids import COORDINATOR
from fecosr.ledger.checkpoint import Growth, check_growth, verify_checkpoint
from fecosr.ledger.countersignature import KeptHead, countersign

FORK = "fork"
"""The rule of the ledger whose breach no later message can mend."""


def see_release(memory: Memory, number: int, release: Release) -> tuple[Memory, tuple[ReleaseSeen, ...]]:
    """Remember what round `number` released.

    Raises:
        ProtocolViolation: it contradicts what this node was told, or trained on, before.
    """
    if number == SKETCH_ROUND:
        raise ProtocolViolation(COORDINATOR, "round_closed", "the sketch round releases no model")
    if memory.releases.get(number, release) != release:
        raise ProtocolViolation(COORDINATOR, "round_closed", "the round has released something else already")
    if memory.models.get(number + 1, release.model_hash) != release.model_hash:
        raise ProtocolViolation(COORDINATOR, "round_closed", "the next round started from another model")
    if number in memory.releases:
        return memory, ()
    memory = replace(memory, releases={**memory.releases, number: release})
    return memory, (ReleaseSeen(number, release),)


def see_sketch(
    memory: Memory, number: int, release: SketchRelease, terms: SketchTerms | None
) -> tuple[Memory, tuple[SketchSeen, ...]]:
    """Remember which sum of sketches round 0 released.

    Raises:
        ProtocolViolation: the plan has no such round, or this node was told of another sum before.
    """
    if terms is None or number != SKETCH_ROUND:
        raise ProtocolViolation(COORDINATOR, "round_closed", "the round has no sketch to release")
    if memory.sketch not in {None, release.sketch_hash}:
        raise ProtocolViolation(COORDINATOR, "round_closed", "another sketch was released already")
    return note_sketch(memory, release.sketch_hash)


def note_sketch(memory: Memory, sketch_hash: bytes | None) -> tuple[Memory, tuple[SketchSeen, ...]]:
    """Remember a sum of sketches that a checked message named, if it named one and it is news."""
    if sketch_hash is None or memory.sketch is not None:
        return memory, ()
    return replace(memory, sketch=sketch_hash), (SketchSeen(sketch_hash),)


def countersigned(
    setup: NodeSetup, memory: Memory, growth: Growth
) -> tuple[Memory, tuple[CheckpointKept, ...], tuple[ToCoordinator, ...]]:
    """Sign a head of the ledger that continues all heads this node signed before.

    Returns:
        What the node remembers, what it must store first, and what it then sends; nothing to store or to send
        where it signed this very head before.

    Raises:
        LedgerError: the coordinator signed two histories. There is nothing more to be had from it, and what
            this node keeps shows it to everybody.
        ProtocolViolation: the coordinator did not sign the head, it is of another run, or the proof is not
            from the head this node signed last.
    """
    checkpoint = growth.checkpoint
    kept = None if memory.head is None else memory.head.checkpoint
    if checkpoint.run != setup.plan.run:
        raise ProtocolViolation(COORDINATOR, "checkpoint", "the checkpoint is of another run")
    try:
        verify_checkpoint(checkpoint, setup.roster.coordinator)
        check_growth(growth, kept)
    except LedgerError as error:
        if error.rule == FORK:
            raise
        raise ProtocolViolation(COORDINATOR, "checkpoint", error.message) from None
    if kept is not None and kept.size == checkpoint.size:
        return memory, (), ()
    head = countersign(checkpoint, setup.me, setup.identity)
    message = ToCoordinator(head_signed(head))
    return replace(memory, head=head), (CheckpointKept(head),), (message,)


def head_signed(head: KeptHead) -> HeadSigned:
    """Return the message in which this node tells what it signed."""
    return HeadSigned(head.checkpoint.size, head.checkpoint.root, head.countersignature)
