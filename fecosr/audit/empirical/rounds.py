"""A whole training run under attack: the parties' own state machines and training code, secrets from a seed.

Everything is as in a real run (sampling, gradients of users, clipping, noise, ring, masks, the five phases,
the server's step, the markets' budgets, the ledger), but for the network and for where randomness comes from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fecosr import __version__
from fecosr.audit.empirical.sabotage import Contribute
from fecosr.audit.empirical.terms import Terms
from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.data.sequences import MarketSequences
from fecosr.federation.aggregation import RingVector, Vector
from fecosr.federation.cohort import Roster
from fecosr.federation.contribution import NodeSetup
from fecosr.federation.messages import RoundManifest
from fecosr.federation.plan import FederationPlan
from fecosr.federation.policy import NodePolicy
from fecosr.federation.private_rounds import PrivateContribution, mechanism_of
from fecosr.federation.progress import CoordinatorSetup
from fecosr.federation.run import FederationRun, run_federation
from fecosr.ids import NodeId
from fecosr.ledger.records import RoundReleased
from fecosr.privacy.accounting import pld_epsilon
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import FloatVector

Advance = Callable[[int], None]
"""Is told of every round that has begun."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenRound:
    """Hold what the adversary of the promise sees of one round.

    Attributes:
        number: of the round.
        shared: float32 [P], the model it started from.
        total: int64 [P], the opened sum in units, without what the colluding markets know they added.
    """

    number: int
    shared: FloatVector = field(repr=False)
    total: npt.NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class SeenRun:
    """Hold what the adversary sees of a run.

    Attributes:
        rounds: those released, in order.
        clip_units: the sensitivity of a sum.
        learners: by market, to compute with what is public.
    """

    rounds: tuple[SeenRound, ...]
    clip_units: int
    learners: Mapping[NodeId, MarketLearner] = field(repr=False)


def train(
    terms: Terms,
    markets: Sequence[MarketSequences],
    contribute: Contribute,
    *,
    seed: int,
    advance: Advance = lambda _round: None,
) -> SeenRun:
    """Run a federation in this process and return what the adversary sees of it.

    Args:
        terms: the plan, for as many markets as there are.
        markets: their data.
        contribute: what training does; the product's own, or a broken one.
        seed: stands for every market's operating system.
        advance: is told of every round.
    """
    party = _Parties(terms, markets, contribute, seed, advance)
    run = run_federation(
        party.coordinator(),
        [party.node(name) for name in terms.markets],
        terms.initial(),
        party.contribution,
        party.entropy,
    )
    return SeenRun(tuple(party.seen(run)), terms.mechanism().clip_units, party.learners)


class _Parties:
    """Stand for everybody's machine."""

    def __init__(
        self,
        terms: Terms,
        markets: Sequence[MarketSequences],
        contribute: Contribute,
        seed: int,
        advance: Advance,
    ) -> None:
        self._terms, self._contribute, self._seed, self._advance = terms, contribute, seed, advance
        self._plan: FederationPlan = terms.plan.federation()
        self._keys = {name: SigningKey(self._secret("identity", name)) for name in terms.markets}
        self._coordinator = SigningKey(self._secret("identity", "coordinator"))
        self._roster = Roster(
            self._coordinator.public, {name: key.public for name, key in self._keys.items()}
        )
        self._num_parameters = terms.mechanism().num_parameters
        self._known: dict[tuple[int, NodeId], RingVector] = {}
        self._drawn = 0
        self.learners = {
            name: MarketLearner(data, terms.learning, seed=terms.plan.run.seed)
            for name, data in zip(terms.markets, markets, strict=True)
        }

    def coordinator(self) -> CoordinatorSetup:
        """Return what the coordinator was provisioned with."""
        return CoordinatorSetup(self._plan, self._roster, self._coordinator, __version__)

    def node(self, name: NodeId) -> NodeSetup:
        """Return what one market was provisioned with; its budget is the plan's and counts."""
        policy = NodePolicy(
            n_min=self._plan.n_min,
            max_colluding=self._plan.max_colluding,
            max_rounds=self._plan.rounds,
            max_clip_norm=self._plan.clip_norm,
            max_epsilon=self._terms.privacy.epsilon,
            max_delta=self._terms.privacy.delta,
        )
        return NodeSetup(
            name,
            self._keys[name],
            self._roster,
            self._plan,
            policy,
            self._num_parameters,
            __version__,
            {"pld": pld_epsilon},
        )

    def contribution(self, name: NodeId, manifest: RoundManifest, shared: Vector) -> PrivateContribution:
        """Return what a market brings to a round."""
        vector = self._contribute(
            self.learners[name],
            shared,
            manifest.round,
            self._terms.training,
            mechanism_of(manifest, self._terms.promise),
            secret=self._secret("round", name, manifest.round, manifest.attempt),
        )
        if name == self._terms.markets[0]:
            self._advance(manifest.round)
        if name in self._terms.colluding:
            self._known[manifest.round, name] = vector
        return PrivateContribution(manifest.model_hash, vector)

    def entropy(self, name: NodeId) -> bytes:
        """Return what stands for 32 fresh bytes."""
        self._drawn += 1
        return self._secret("session", name, self._drawn)

    def seen(self, run: FederationRun) -> Sequence[SeenRound]:
        """Return what the coordinator saw of every released round, less what colluding markets told it."""
        released = [entry.body for entry in run.ledger if isinstance(entry.body, RoundReleased)]
        rounds = []
        for body in released:
            total = run.sums[body.total_hash][: self._num_parameters].copy()
            for name in self._terms.colluding:
                total -= self._known[body.round, name]
            rounds.append(
                SeenRound(body.round, run.models[body.model_in], total.view(np.int32).astype(np.int64))
            )
        return rounds

    def _secret(self, *names: str | int) -> bytes:
        return sha256(repr(("empirical audit", self._seed, *names)).encode())
