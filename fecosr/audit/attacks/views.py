"""Real rounds in this process, and what there is to see of the first market: alone, masked, and in the sum.

The same users, the same model: once without differential privacy, as most plans run, and once with it. The
update that no coordinator ever sees is shown too: without it nobody knew whether an attacker who finds
nothing is weak or has nothing to find.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fecosr.audit.empirical.parties import Parties
from fecosr.audit.empirical.sabotage import as_it_is
from fecosr.audit.empirical.terms import Terms
from fecosr.config.plan import Plan
from fecosr.federation.aggregation import RingVector, Vector
from fecosr.federation.contribution import LocalUpdate, Trained
from fecosr.federation.coordinator import open_run
from fecosr.federation.messages import FromClient, RoundManifest
from fecosr.federation.plan import FederationPlan
from fecosr.federation.private_rounds import PrivateContribution, mechanism_of
from fecosr.federation.run import FederationRun, Train
from fecosr.ids import NodeId
from fecosr.secagg.messages import MaskedInput
from fecosr.training.market import MarketLearner

ViewName = Literal["unmasked", "masked", "sum", "private_sum"]
VIEWS: Final[Mapping[ViewName, str]] = {
    "unmasked": "Its update as it is, which nobody sees",
    "masked": "The same under its masks, which the coordinator receives",
    "sum": "The sum of all markets, without differential privacy",
    "private_sum": "The sum of all markets, with differential privacy",
}
_CLIP_NORM: Final = 10.0
"""On a market's whole update, where users are not clipped."""

Direction = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Hold what each view shows, float32 [P]: the direction in which a model was changed, of length 1."""

    views: Mapping[ViewName, Direction] = field(repr=False)


def see(terms: Terms, learners: Mapping[NodeId, MarketLearner], seed: int) -> Seen:
    """Return what there is to see of the first market in a round of either kind.

    Args:
        terms: the private plan; the other one is the same without its promise.
        learners: the markets.
        seed: of all secrets.
    """
    update: dict[NodeId, Vector] = {}

    def openly(name: NodeId, manifest: RoundManifest, shared: Vector) -> Trained:
        trained = learners[name].train_round(shared, manifest.round)
        update[name] = trained.update
        return LocalUpdate(manifest.model_hash, trained.update, trained.num_users, trained.loss)

    def privately(name: NodeId, manifest: RoundManifest, shared: Vector) -> Trained:
        vector = as_it_is(
            learners[name],
            shared,
            manifest.round,
            terms.training,
            mechanism_of(manifest, terms.promise),
            secret=parties.secret("round", name),
        )
        return PrivateContribution(manifest.model_hash, vector)

    parties = _parties(_without_promise(terms.plan).federation(), terms, seed)
    masked, total = _round(parties, terms, openly)
    parties = _parties(terms.plan.federation(), terms, seed)
    _, private_total = _round(parties, terms, privately)
    return Seen(
        {
            "unmasked": _direction(update[terms.markets[0]]),
            "masked": _direction(_signed(masked, terms)),
            "sum": _direction(_signed(total, terms)),
            # A private sum is one of gradients, against which the server steps.
            "private_sum": _direction(-_signed(private_total, terms)),
        }
    )


def _round(parties: Parties, terms: Terms, train: Train) -> tuple[RingVector, RingVector]:
    """Run one round and return the first market's vector on its way to the coordinator, and the sum."""
    run = FederationRun(train, parties.entropy)
    run.coordinator_does(open_run(parties.coordinator(), terms.initial(), run.now))
    for node in parties.nodes():
        run.node_arrives(node)
    masked = None
    is_going_on: Callable[[], bool] = run.deliver_next
    while True:
        masked = _on_its_way(run, terms.markets[0]) if masked is None else masked
        if not is_going_on():
            break
    (total,) = run.sums.values()
    assert masked is not None  # noqa: S101 - the sum was opened, so every vector was sent
    return masked, total


def _on_its_way(run: FederationRun, market: NodeId) -> RingVector | None:
    for sender, message in run.to_coordinator:
        if sender == market and isinstance(message, FromClient) and isinstance(message.body, MaskedInput):
            return message.body.vector.view(np.uint32).copy()
    return None


def _parties(plan: FederationPlan, terms: Terms, seed: int) -> Parties:
    return Parties(plan, terms.markets, terms.mechanism().num_parameters, seed)


def _without_promise(plan: Plan) -> Plan:
    sections = plan.model_dump()
    sections["privacy"] = {"mode": "none"}
    sections["aggregation"]["clip_norm"] = _CLIP_NORM
    return Plan.model_validate(sections)


def _signed(vector: RingVector, terms: Terms) -> Direction:
    return vector[: terms.mechanism().num_parameters].view(np.int32).astype(np.float32)


def _direction(vector: npt.NDArray[np.float32]) -> Direction:
    return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-30))
