"""Who shares pairwise masks with whom."""

from collections.abc import Collection

from fecosr.errors import MisuseError
from fecosr.ids import NodeId
from fecosr.secagg.parameters import MAX_CLIENTS


def neighbours(client: NodeId, clients: Collection[NodeId]) -> tuple[NodeId, ...]:
    """Return the peers with which `client` makes pairwise masks, sorted: all the others.

    Raises:
        MisuseError: `client` is not among `clients`, or there are more than the complete graph is made for.
    """
    if len(clients) > MAX_CLIENTS:
        raise MisuseError(f"the complete mask graph is for at most {MAX_CLIENTS} clients")
    if client not in clients:
        raise MisuseError("a client has neighbours only in its own cohort")
    return tuple(sorted(peer for peer in clients if peer != client))
