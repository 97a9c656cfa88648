"""Who makes masks with whom, and who holds shares of whose secrets: everybody derives the same graph."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from fecosr.crypto.labels import Label, encode, sha256
from fecosr.errors import MisuseError
from fecosr.ids import NodeId
from fecosr.secagg.degree import Degree, sparse_degree
from fecosr.secagg.parameters import SecAggParameters

COMPLETE_UP_TO: Final = 64
"""Among so many clients everybody makes masks with everybody."""


@dataclass(frozen=True, slots=True)
class MaskGraph:
    """Hold the graph of one session.

    Attributes:
        ring: all clients: sorted by name in a complete graph, in the session's random order in a sparse one.
        places: where each client stands in it, from 0.
        degree: the shape of a sparse graph; None: the graph is complete.
        threshold: how many shares open a secret.
    """

    ring: tuple[NodeId, ...]
    places: Mapping[NodeId, int] = field(repr=False)
    degree: Degree | None
    threshold: int

    def neighbours(self, client: NodeId) -> tuple[NodeId, ...]:
        """Return the peers with which `client` makes pairwise masks, sorted.

        Raises:
            MisuseError: the client is not in the graph.
        """
        if client not in self.places:
            raise MisuseError("a client has neighbours only in its own cohort")
        if self.degree is None:
            return tuple(peer for peer in self.ring if peer != client)
        place, reach = self.places[client], self.degree.num_neighbours // 2
        steps = (step for step in range(-reach, reach + 1) if step)
        return tuple(sorted(self.ring[(place + step) % len(self.ring)] for step in steps))

    def holders(self, owner: NodeId) -> tuple[NodeId, ...]:
        """Return who holds shares of the owner's secrets, sorted; the same whose shares the owner holds.

        In a complete graph everybody does, the owner included; in a sparse one its neighbours do.
        """
        return self.ring if self.degree is None else self.neighbours(owner)

    def positions(self, owner: NodeId) -> Mapping[NodeId, int]:
        """Return where on the owner's polynomials each holder's shares lie: its place among them, from 1."""
        return {holder: place for place, holder in enumerate(self.holders(owner), start=1)}

    def isolated(self, sharers: Collection[NodeId]) -> frozenset[NodeId]:
        """Return whom too few neighbours among the `sharers` are left, once all such clients are left out.

        Too few could open their secrets. On the ring one such client soon isolates its neighbours and these
        theirs, so that mostly nobody remains; a tenth leaving isolates somebody with chance 2^-20 only.
        """
        if self.degree is None:
            return frozenset()
        left = set(sharers)
        while lonely := {it for it in left if len(left.intersection(self.neighbours(it))) < self.threshold}:
            left -= lonely
        return frozenset(sharers) - left

    def has_gap(self, survivors: Collection[NodeId]) -> bool:
        """Return whether so few survive somewhere on the ring that the masks might not tie them all together.

        Masks between two honest survivors are never opened. Were honest survivors not all connected by
        them, the sum of some could be opened apart from the rest. On the ring that takes two places where k/2
        clients in a row hold no honest survivor. Where every k/2 in a row hold `window_survivors`, so
        many would have to collude in these two that it happens with chance 2^-40 only.
        """
        if self.degree is None:
            return False
        window = self.degree.num_neighbours // 2
        alive = [client in survivors for client in self.ring]
        sums = list(accumulate(alive + alive[:window], initial=0))
        fewest = min(sums[start + window] - sums[start] for start in range(len(alive)))
        return fewest < self.degree.window_survivors


def mask_graph(parameters: SecAggParameters, session: bytes, clients: Sequence[NodeId]) -> MaskGraph:
    """Return the graph of a session among `clients`, sorted by name.

    The order on the ring is that of hashes of session and name. The session depends on the fresh keys of
    everybody, so nobody can choose neighbours before the adverts are fixed.
    """
    degree = sparse_degree(len(clients), parameters.max_colluding) if len(clients) > COMPLETE_UP_TO else None
    if degree is None:
        ring, threshold = tuple(clients), parameters.threshold(len(clients))
    else:
        ring = tuple(sorted(clients, key=lambda client: _place_hash(session, client)))
        threshold = degree.threshold
    return MaskGraph(ring, {client: place for place, client in enumerate(ring)}, degree, threshold)


def _place_hash(session: bytes, client: NodeId) -> bytes:
    return sha256(encode(Label.GRAPH, session, client.encode()))
