"""The cohort: who advertised keys, and what follows from it for the rest of the session."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fecosr.ids import NodeId
from fecosr.secagg.graph import MaskGraph, mask_graph
from fecosr.secagg.messages import KeyAdvert
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.statements import session_id


@dataclass(frozen=True, slots=True)
class Cohort:
    """Fix who takes part in one session; client and server derive the same from the same adverts.

    Attributes:
        parameters: what everybody agreed on before.
        session: the 32 bytes every key, mask and signature from here on is bound to.
        adverts: every client's advert, sorted by client.
        graph: who makes masks with whom and holds whose shares.
    """

    parameters: SecAggParameters
    session: bytes
    adverts: Mapping[NodeId, KeyAdvert]
    graph: MaskGraph

    @property
    def threshold(self) -> int:
        """Return how many signatures a survivor list needs."""
        return self.parameters.threshold(len(self.adverts))

    @property
    def fewest_survivors(self) -> int:
        """Return how many clients must be left at every phase for the sum to be opened."""
        return self.parameters.fewest_survivors(len(self.adverts))

    def mask_publics(self, clients: Iterable[NodeId]) -> Mapping[NodeId, bytes]:
        """Return the public mask keys of some of the clients."""
        return {client: self.adverts[client].mask_public for client in clients}


def form_cohort(parameters: SecAggParameters, adverts: Iterable[KeyAdvert]) -> Cohort:
    """Return the cohort of these adverts, in whatever order they come."""
    ordered = sorted(adverts, key=lambda advert: advert.client)
    session = session_id(parameters.context, ordered)
    by_client = MappingProxyType({advert.client: advert for advert in ordered})
    return Cohort(parameters, session, by_client, mask_graph(parameters, session, tuple(by_client)))
