"""Whom the coordinator lets in, and what it makes of those who speak out of turn."""

from dataclasses import dataclass

from fecosr.errors import LedgerError
from fecosr.federation.countersigning import check_signed, hear_signed
from fecosr.federation.effects import (
    CoordinatorOutgoing,
    CountersignatureStored,
    Disconnect,
    Observed,
    ToNode,
)
from fecosr.federation.messages import HeadSigned, Hello, NodeMessage, Rejected
from fecosr.federation.progress import CoordinatorSetup, Progress
from fecosr.ids import NodeId


@dataclass(frozen=True, slots=True)
class Admission:
    """Say what becomes of a node that introduces itself.

    Attributes:
        shown: how many records of the ledger it has seen.
        records: what it signed of the ledger.
        refused: what to do about a node that cannot take part; empty when it can.
    """

    shown: int = 0
    records: tuple[CountersignatureStored, ...] = ()
    refused: tuple[CoordinatorOutgoing, ...] = ()


def admit(setup: CoordinatorSetup, progress: Progress, node: NodeId, hello: Hello) -> Admission:
    """Let a node in, or refuse it for a reason that only an operator can mend."""
    refused = _refusal(setup, node, hello)
    if refused or hello.signed is None:
        return Admission(refused=refused)
    try:
        record = check_signed(setup, progress, node, hello.signed)
    except LedgerError as error:
        return Admission(refused=_refuse(node, f"does not share this ledger: {error.message}"))
    return Admission(hello.signed.size, (record,))


def _refusal(setup: CoordinatorSetup, node: NodeId, hello: Hello) -> tuple[CoordinatorOutgoing, ...]:
    rules = {
        "is not in the roster": node not in setup.roster.nodes,
        f"was provisioned for another run than {setup.plan.run}": hello.run != setup.plan.run,
        "holds another plan: provision it again": hello.plan_hash != setup.plan.hash(),
    }
    for reason, broken in rules.items():
        if broken:
            return _refuse(node, reason)
    return ()


def _refuse(node: NodeId, reason: str) -> tuple[CoordinatorOutgoing, ...]:
    seen = Observed("node_rejected", {"market": node, "reason": reason})
    return (seen, ToNode(node, Rejected(reason)), Disconnect(node))


def between(
    setup: CoordinatorSetup, progress: Progress, node: NodeId, message: NodeMessage
) -> tuple[tuple[CountersignatureStored, ...], tuple[Observed, ...]]:
    """Keep what a node signed of the ledger; refuse by name whatever else comes between two rounds."""
    if isinstance(message, HeadSigned):
        return hear_signed(setup, progress, node, message)
    return (), (late(node, message),)


def late(node: NodeId, message: NodeMessage) -> Observed:
    """Return the log line for a message that came when nobody waits for it."""
    return Observed("late_message", {"market": node, "message": type(message).__name__})
