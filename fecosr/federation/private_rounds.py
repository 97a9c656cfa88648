"""What mode "distributed" adds to a round: terms in the plan, noise in the manifest, an integer encoding.

market:       sample users, clip each, add up in integers, add a share of the noise, mask     private_sum
coordinator:  open the sum of at least n_min markets, divide by a public constant, take a step
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from fecosr.errors import CryptoError, MisuseError
from fecosr.federation.aggregation import RingVector, Vector
from fecosr.federation.messages import NoiseTerms, RoundManifest
from fecosr.ids import NodeId
from fecosr.privacy.budget import Budget, NeighboringRelation, PrivacyUnit
from fecosr.privacy.contributions import from_ring
from fecosr.privacy.events import PoissonIntegerGaussian
from fecosr.privacy.integer_mechanism import RING_BITS, IntegerMechanism

Adversary = Literal["coordinator_and_max_colluding_nodes"]


@dataclass(frozen=True, slots=True)
class DistributedPrivacy:
    """Hold what the plan promises every user, and against whom.

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
        holds_against: who may know everything but the data and the noise of the other nodes.
    """

    epsilon: float
    delta: float
    clip_norm: float
    noise_multiplier: float
    sampling_probability: float
    expected_users: float
    privacy_unit: PrivacyUnit = "user"
    neighboring_relation: NeighboringRelation = "add_or_remove_one"
    holds_against: Adversary = "coordinator_and_max_colluding_nodes"

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


@dataclass(frozen=True, slots=True, eq=False)
class PrivateContribution:
    """Hold what a market adds to one sum: ring elements, uint32 [P], its share of the noise included.

    It belongs to one attempt only: whoever saw two of them under different masks could compare them.
    """

    model_hash: bytes
    vector: RingVector = field(repr=False)


@dataclass(frozen=True, slots=True)
class PrivateEncoding:
    """Fix what a noisy sum looks like: P integers and, last, the plain count of its summands.

    There is neither a weight nor a loss nor a metric in it: each would be one more release.

    Attributes:
        mechanism: of the attempt.
        expected_users: what the sum is divided by.
        num_summands: the most vectors that may ever be added.
    """

    mechanism: IntegerMechanism
    expected_users: float
    num_summands: int

    @property
    def length(self) -> int:
        """Return the number of ring elements."""
        return self.mechanism.num_parameters + 1

    @property
    def ring_bits(self) -> int:
        """Return the bits of a ring element: noise fills the whole ring."""
        return RING_BITS

    def encode(self, contribution: PrivateContribution) -> RingVector:
        """Return the ring vector of one market, uint32 [P + 1].

        Raises:
            MisuseError: a contribution to a sum of another length.
        """
        if contribution.vector.dtype != np.uint32 or len(contribution.vector) + 1 != self.length:
            raise MisuseError(f"a contribution is uint32 [{self.length - 1}]")
        return np.append(contribution.vector, np.uint32(1))

    def decode(self, total: RingVector, num_survivors: int) -> Vector:
        """Return the step that a sum says, float32 [P]: against the estimated gradient.

        The divisor is public. The true number of users is as private as anything else about them, and who
        dropped out must not change the length of the step by more than their absence does.

        Raises:
            CryptoError: the count is not `num_survivors`, or the step is longer than honest nodes make it.
        """
        if total.dtype != np.uint32 or total.shape != (self.length,):
            raise MisuseError("the sum is no vector of this encoding")
        if int(total[-1]) != num_survivors:
            raise CryptoError("the count in the sum is not the number of survivors")
        step = from_ring(total[:-1], self.mechanism)  # [P]
        step /= np.float32(-self.expected_users)
        longest = self.mechanism.largest_norm(self.expected_users, self.num_summands) / self.expected_users
        # Squares of float32 values are added in float64, where none overflows.
        if not float(np.square(step, dtype=np.float64).sum()) <= (1.001 * longest) ** 2:
            raise CryptoError("the step in the sum is longer than clipping and noise can make it")
        return step


def noise_terms(mechanism: IntegerMechanism) -> NoiseTerms:
    """Return what a manifest says of a mechanism beside clip_norm and num_parameters."""
    return NoiseTerms(mechanism.clip_units, mechanism.share_variance, mechanism.num_shares)


def mechanism_of(manifest: RoundManifest) -> IntegerMechanism:
    """Return the mechanism that a manifest with noise speaks of.

    Raises:
        MisuseError: there is no such mechanism.
    """
    noise = manifest.noise
    if noise is None:
        raise MisuseError("the manifest of a private round states its noise")
    return IntegerMechanism(
        manifest.num_parameters, manifest.clip_norm, noise.clip_units, noise.share_variance, noise.num_shares
    )
