"""What a plan promises every user, in each of two modes: how much, at what cost a round, and against whom.

Mode "distributed": a round is one sum over the users of all markets; each market adds a share of the noise.
Mode "local":       a market takes noisy steps by itself, and what it sends is private before it is masked.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from fecosr.ids import NodeId
from fecosr.privacy.budget import Budget, NeighboringRelation, PrivacyUnit
from fecosr.privacy.events import PoissonIntegerGaussian
from fecosr.privacy.integer_mechanism import IntegerMechanism


@dataclass(frozen=True, slots=True, kw_only=True)
class _UserPrivacy:
    """Hold what both modes have in common.

    Attributes:
        epsilon: no market's users are charged more than this in the whole run.
        delta: at this delta.
        clip_norm: L2 bound on the contribution of one user to one sum.
        noise_multiplier: standard deviation of the noise in a sum that the adversary does not know, divided
            by clip_norm.
        sampling_probability: of every user, for every sum.
        expected_users: public estimate of how many users a sum is over; every sum is divided by it.
        privacy_unit: whose data two neighbouring data sets differ in.
        neighboring_relation: how they differ.
    """

    epsilon: float
    delta: float
    clip_norm: float
    noise_multiplier: float
    sampling_probability: float
    expected_users: float
    privacy_unit: PrivacyUnit = "user"
    neighboring_relation: NeighboringRelation = "add_or_remove_one"

    def event(self, mechanism: IntegerMechanism) -> PoissonIntegerGaussian:
        """Return what one round costs each of a market's users."""
        return mechanism.event(self.sampling_probability)

    def budget(self, market: NodeId, mechanism: IntegerMechanism) -> Budget:
        """Return the budget of one market: to be spent on rounds of this mechanism only."""
        return Budget(
            market=market,
            epsilon=self.epsilon,
            delta=self.delta,
            planned=frozenset({self.event(mechanism)}),
            privacy_unit=self.privacy_unit,
            neighboring_relation=self.neighboring_relation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributedPrivacy(_UserPrivacy):
    """Promise that a sum over the markets hides every user: each market adds a share of its noise.

    Attributes:
        holds_against: who may know everything but the data and the noise of the other nodes.
    """

    mode: ClassVar[Literal["distributed"]] = "distributed"
    holds_against: Literal["coordinator_and_max_colluding_nodes"] = "coordinator_and_max_colluding_nodes"

    def mechanism(
        self, *, num_parameters: int, num_nodes: int, n_min: int, max_colluding: int
    ) -> IntegerMechanism:
        """Return the mechanism of every round; coordinator, nodes and auditor compute it alike.

        Raises:
            MisuseError: no mechanism keeps the sum within the ring.
        """
        return IntegerMechanism.fitting(
            num_parameters=num_parameters,
            clip_norm=self.clip_norm,
            noise_multiplier=self.noise_multiplier,
            expected_users=self.expected_users,
            num_nodes=num_nodes,
            n_min=n_min,
            max_colluding=max_colluding,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPrivacy(_UserPrivacy):
    """Promise that what a market sends hides each of its users by itself: it adds all the noise, every step.

    Attributes:
        steps: of the optimiser in one round; each has coins and noise of its own, and is charged.
        holds_against: who may know everything but the data and the noise of the user's own market.
    """

    mode: ClassVar[Literal["local"]] = "local"
    steps: int
    holds_against: Literal["everybody_outside_the_market"] = "everybody_outside_the_market"

    def mechanism(
        self, *, num_parameters: int, num_nodes: int, n_min: int, max_colluding: int
    ) -> IntegerMechanism:
        """Return the mechanism of every step: neither the number of nodes nor who colludes matters to it.

        Raises:
            MisuseError: there is none with these numbers.
        """
        del num_nodes, n_min, max_colluding
        return IntegerMechanism.of_one_party(
            num_parameters=num_parameters,
            clip_norm=self.clip_norm,
            noise_multiplier=self.noise_multiplier,
            expected_users=self.expected_users,
        )

    def event(self, mechanism: IntegerMechanism) -> PoissonIntegerGaussian:
        """Return what the steps of one round cost each of a market's users."""
        return replace(mechanism.event(self.sampling_probability), steps=self.steps)


UserPrivacy = DistributedPrivacy | LocalPrivacy
