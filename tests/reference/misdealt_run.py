"""A whole run in memory, one of whose markets deals bad shares in every attempt."""

from collections.abc import Collection

from fecosr.federation.coordinator import open_run
from fecosr.federation.messages import FromClient
from fecosr.federation.node_states import Aggregating
from fecosr.federation.run import FederationRun
from fecosr.ids import NodeId
from fecosr.secagg.messages import EncryptedShares
from tests.reference.misdealing import Spoil, misdealing, to_each
from tests.reference.small_federation import SmallFederation

NAMES = ["de", "es", "fr", "it", "jp", "uk", "us"]
LIAR = NodeId("us")


def started(federation: SmallFederation) -> FederationRun:
    run = FederationRun(federation.train, federation.entropy)
    run.coordinator_does(open_run(federation.setup, federation.initial, 0.0))
    for node in federation.nodes():
        run.node_arrives(node)
    return run


def deal_badly(run: FederationRun, holders: Collection[str], spoil: Spoil) -> None:
    """Replace the deals of the liar that are on their way, or have been sent, by bad ones it signed."""
    forge = misdealing({LIAR: to_each([NodeId(name) for name in holders], spoil)})
    for place, (node, message) in enumerate(run.to_coordinator):
        if (
            node != LIAR
            or not isinstance(message, FromClient)
            or not isinstance(message.body, EncryptedShares)
        ):
            continue
        state = run.nodes[node]
        assert isinstance(state, Aggregating)
        body = forge(state.client, message.body)
        run.to_coordinator[place] = node, FromClient(message.round, message.attempt, body)


def play(run: FederationRun, holders: Collection[str], spoil: Spoil, until: type) -> None:
    """Let the liar deal badly in every attempt until the ledger has a record of a kind."""
    while not any(isinstance(entry.body, until) for entry in run.ledger):
        deal_badly(run, holders, spoil)
        assert run.deliver_next()
