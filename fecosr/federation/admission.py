"""Whom the coordinator lets in, and what it makes of those who speak out of turn."""

from fecosr.federation.effects import CoordinatorOutgoing, Disconnect, Observed, ToNode
from fecosr.federation.messages import Hello, NodeMessage, Rejected
from fecosr.federation.progress import CoordinatorSetup
from fecosr.ids import NodeId


def refusal(setup: CoordinatorSetup, node: NodeId, hello: Hello) -> tuple[CoordinatorOutgoing, ...]:
    """Return what to do about a node that cannot take part; nothing when it can."""
    rules = {
        "is not in the roster": node not in setup.roster.nodes,
        f"was provisioned for another run than {setup.plan.run}": hello.run != setup.plan.run,
        "holds another plan: provision it again": hello.plan_hash != setup.plan.hash(),
    }
    for reason, broken in rules.items():
        if broken:
            seen = Observed("node_rejected", {"market": node, "reason": reason})
            return (seen, ToNode(node, Rejected(reason)), Disconnect(node))
    return ()


def late(node: NodeId, message: NodeMessage) -> Observed:
    """Return the log line for a message that came when nobody waits for it."""
    return Observed("late_message", {"market": node, "message": type(message).__name__})
