"""A whole training run under attack: the parties' own state machines and training code, secrets from a seed.

Everything is as in a real run (sampling, gradients of users, clipping, noise, ring, masks, the five phases,
the server's step, the markets' budgets, the ledger), but for the network and for where randomness comes from.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fecosr.audit.empirical.parties import Parties
from fecosr.audit.empirical.sabotage import Contribute
from fecosr.audit.empirical.terms import Terms
from fecosr.data.sequences import MarketSequences
from fecosr.federation.aggregation import RingVector, Vector
from fecosr.federation.messages import RoundManifest
from fecosr.federation.private_rounds import PrivateContribution, mechanism_of
from fecosr.federation.run import FederationRun, run_federation
from fecosr.ids import NodeId
from fecosr.ledger.records import RoundReleased
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
    mechanism = terms.mechanism()
    parties = Parties(terms.plan.federation(), terms.markets, mechanism.num_parameters, seed)
    training = _Training(terms, markets, contribute, parties, advance)
    run = run_federation(
        parties.coordinator(), parties.nodes(), terms.initial(), training.contribution, parties.entropy
    )
    return SeenRun(tuple(training.seen(run)), mechanism.clip_units, training.learners)


class _Training:
    """Train in all markets, and remember what the colluding ones can tell."""

    def __init__(
        self,
        terms: Terms,
        markets: Sequence[MarketSequences],
        contribute: Contribute,
        parties: Parties,
        advance: Advance,
    ) -> None:
        self._terms, self._contribute, self._parties, self._advance = terms, contribute, parties, advance
        self._known: dict[tuple[int, NodeId], RingVector] = {}
        self.learners = {
            name: MarketLearner(data, terms.learning, seed=terms.plan.run.seed)
            for name, data in zip(terms.markets, markets, strict=True)
        }

    def contribution(self, name: NodeId, manifest: RoundManifest, shared: Vector) -> PrivateContribution:
        """Return what a market brings to a round."""
        vector = self._contribute(
            self.learners[name],
            shared,
            manifest.round,
            self._terms.training,
            mechanism_of(manifest, self._terms.promise),
            secret=self._parties.secret("round", name, manifest.round, manifest.attempt),
        )
        if name == self._terms.markets[0]:
            self._advance(manifest.round)
        if name in self._terms.colluding:
            self._known[manifest.round, name] = vector
        return PrivateContribution(manifest.model_hash, vector)

    def seen(self, run: FederationRun) -> Iterator[SeenRound]:
        """Yield what the coordinator saw of every released round, less what colluding markets told it."""
        for body in (entry.body for entry in run.ledger if isinstance(entry.body, RoundReleased)):
            shared = run.models[body.model_in]
            total = run.sums[body.total_hash][: len(shared)].copy()
            for name in self._terms.colluding:
                total -= self._known[body.round, name]
            yield SeenRound(body.round, shared, total.view(np.int32).astype(np.int64))
