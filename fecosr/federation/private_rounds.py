"""What a market brings to a private round, what the manifest says of the noise, and how noisy sums travel.

mode "distributed"
market:       sample users, clip each, add up in integers, add a share of the noise, mask     private_sum
coordinator:  open the sum of at least n_min markets, divide by a public constant, take a step

mode "local"
market:       the same with all of the noise, take a step, and again; clip, encode, mask      train_privately
coordinator:  open the sum of the noisy updates, take their mean
"""

from dataclasses import dataclass, field

import numpy as np

from fecosr.errors import CryptoError, MisuseError
from fecosr.federation.aggregation import RingVector, Vector
from fecosr.federation.messages import NoiseTerms, RoundManifest
from fecosr.federation.user_privacy import UserPrivacy
from fecosr.privacy.contributions import from_ring
from fecosr.privacy.integer_mechanism import RING_BITS, IntegerMechanism


@dataclass(frozen=True, slots=True, eq=False)
class PrivateContribution:
    """Hold what a market adds to one sum: ring elements, uint32 [P], its share of the noise included.

    It belongs to one attempt only: whoever saw two of them under different masks could compare them.
    """

    model_hash: bytes
    vector: RingVector = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class NoisyUpdate:
    """Hold what a market made of a model in mode "local": float32 [P], trained minus received parameters.

    It carries the noise of all its steps, so that whoever sees it, once or again, learns no more of any user
    than was charged. Neither the number of users nor a loss comes with it: nothing bounds what these say.
    """

    model_hash: bytes
    update: Vector = field(repr=False)


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


def mechanism_of(manifest: RoundManifest, privacy: UserPrivacy) -> IntegerMechanism:
    """Return the mechanism that a manifest with noise speaks of, for users clipped as the plan says.

    Raises:
        MisuseError: there is no such mechanism.
    """
    noise = manifest.noise
    if noise is None:
        raise MisuseError("the manifest of a private round states its noise")
    return IntegerMechanism(
        manifest.num_parameters, privacy.clip_norm, noise.clip_units, noise.share_variance, noise.num_shares
    )
