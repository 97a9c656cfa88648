"""What the coordinator makes of the heads that nodes say they signed."""

from fecosr.errors import LedgerError
from fecosr.federation.effects import CountersignatureStored, Observed
from fecosr.federation.messages import HeadSigned
from fecosr.federation.progress import CoordinatorSetup, Progress
from fecosr.ids import NodeId
from fecosr.ledger.countersignature import Countersignature, verify_countersignature


def check_signed(
    setup: CoordinatorSetup, progress: Progress, node: NodeId, signed: HeadSigned
) -> CountersignatureStored:
    """Return the record of a countersignature.

    Raises:
        LedgerError: rule "countersignature": the node did not sign it; rule "fork": it is of a history
            that is not this ledger's.
    """
    statement = Countersignature(node, setup.plan.run, signed.size, signed.root, signed.signature)
    verify_countersignature(statement, setup.roster.nodes[node])
    log = progress.log
    if signed.size > log.size:
        message = f"it signed {signed.size} records, this has {log.size}: was an older copy restored?"
        raise LedgerError(log.size, "fork", message)
    if log.head_at(signed.size).root != signed.root:
        message = f"the {signed.size} records it signed are not those of this ledger"
        raise LedgerError(max(signed.size - 1, 0), "fork", message)
    return CountersignatureStored(statement)


def hear_signed(
    setup: CoordinatorSetup, progress: Progress, node: NodeId, signed: HeadSigned
) -> tuple[tuple[CountersignatureStored, ...], tuple[Observed, ...]]:
    """Return what to store, and what to log, of a head that a node says it signed."""
    try:
        return (check_signed(setup, progress, node, signed),), ()
    except LedgerError as error:
        fields = {"market": node, "rule": error.rule, "reason": error.message}
        return (), (Observed("countersignature_refused", fields),)
