"""What a node keeps of what the coordinator says, so that it cannot say something else later."""

from dataclasses import replace

from fecosr.errors import LedgerError, ProtocolViolation
from fecosr.federation.contribution import NodeSetup
from fecosr.federation.effects import CheckpointKept, ReleaseSeen
from fecosr.federation.memory import Memory
from fecosr.federation.messages import Release
from fecosr.ids import COORDINATOR
from fecosr.ledger.checkpoint import Checkpoint, verify_checkpoint


def see_release(memory: Memory, number: int, release: Release) -> tuple[Memory, tuple[ReleaseSeen, ...]]:
    """Remember what round `number` released.

    Raises:
        ProtocolViolation: it contradicts what this node was told, or trained on, before.
    """
    if memory.releases.get(number, release) != release:
        raise ProtocolViolation(COORDINATOR, "round_closed", "the round has released something else already")
    if memory.models.get(number + 1, release.model_hash) != release.model_hash:
        raise ProtocolViolation(COORDINATOR, "round_closed", "the next round started from another model")
    if number in memory.releases:
        return memory, ()
    memory = replace(memory, releases={**memory.releases, number: release})
    return memory, (ReleaseSeen(number, release),)


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
