"""What a node keeps of what the coordinator says, so that it cannot say something else later."""

from dataclasses import replace

from fecosr.errors import LedgerError, ProtocolViolation
from fecosr.federation.contribution import NodeSetup
from fecosr.federation.effects import CheckpointKept, ReleaseSeen, SketchSeen
from fecosr.federation.memory import Memory
from fecosr.federation.messages import Release, SketchRelease
from fecosr.federation.sketch import SKETCH_ROUND, SketchTerms
from fecosr.ids import COORDINATOR
from fecosr.ledger.checkpoint import Checkpoint, verify_checkpoint


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


def keep_checkpoint(setup: NodeSetup, checkpoint: Checkpoint) -> CheckpointKept:
    """Return the record of a signed statement about the ledger.

    Raises:
        ProtocolViolation: the coordinator did not sign it, or it is of another run.
    """
    try:
        verify_checkpoint(checkpoint, setup.roster.coordinator)
    except LedgerError as error:
        raise ProtocolViolation(COORDINATOR, "checkpoint", error.message) from None
    if checkpoint.run != setup.plan.run:
        raise ProtocolViolation(COORDINATOR, "checkpoint", "the checkpoint is of another run")
    return CheckpointKept(checkpoint)
