"""The mechanism of every private round: integers, clipped per user, added up, and made noisy in shares.

    per user:  gradient -> clip to clip_norm -> divide by the unit -> round toward zero     norm <= clip_units
    per node:  sum over its sampled users + its share of the noise -> ring element -> mask
    the sum:   at least the full noise, if all shares but those of `max_colluding` nodes are unknown

`clip_norm = clip_units * unit`, so in units the sensitivity is an integer and holds exactly. Where a node
keeps its data to itself (mode "local") the same mechanism has a single share.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

from fecosr.errors import MisuseError
from fecosr.privacy.events import PoissonIntegerGaussian

RING_BITS: Final = 32
MIN_SHARE_STDDEV: Final = 1 << 12
"""With shares as wide as this, sums of discrete Gaussians cannot be told from a rounded normal law."""
MAX_CLIP_UNITS: Final = 1 << 26
"""Squares of sums this large are exact in float64."""
_MAX_STDDEV_BITS: Final = 20
"""Of the noise in the sum: finer units would only make numbers longer."""
_UPWARD: Final = 1.0 + 2.0**-40
"""Wider than what floating point rounds away."""
_SUM_STDDEVS: Final = 16
"""Neither noise nor the number of sampled users is this far from its mean, but with chance 2^-100 or so."""


@dataclass(frozen=True, slots=True)
class IntegerMechanism:
    """Fix clipping and noise of one private sum.

    Attributes:
        num_parameters: P, the length of a contribution.
        clip_norm: L2 bound on the contribution of one user.
        clip_units: the same bound as a whole number of units: the L2 sensitivity of the integer sum.
        share_variance: parameter sigma^2 of the discrete Gaussian that every node adds, in squared units.
        num_shares: shares in the sum that the adversary does not know: survivors less colluding nodes.

    Raises:
        MisuseError: a value is out of range.

    Guarantees:
        Sensitivity: adding or removing one user changes the integer sum by a vector whose L2 norm is at most
        clip_units, whatever that user's data are.
        Ring: wrapping around is post-processing and costs no privacy.
    """

    num_parameters: int
    clip_norm: float
    clip_units: int
    share_variance: int
    num_shares: int

    def __post_init__(self) -> None:
        if self.num_parameters < 1 or self.clip_units < 1 or self.num_shares < 1:
            raise MisuseError("a mechanism needs a parameter, a unit and a share of noise")
        if self.clip_units > MAX_CLIP_UNITS:
            raise MisuseError(f"clip_units is at most {MAX_CLIP_UNITS}")
        if not 0 < self.clip_norm < math.inf:
            raise MisuseError("clip_norm must be positive and finite")
        if self.share_variance < MIN_SHARE_STDDEV**2:
            raise MisuseError(
                f"a share of noise has a standard deviation of at least {MIN_SHARE_STDDEV} units"
            )

    @classmethod
    def fitting(
        cls,
        *,
        num_parameters: int,
        clip_norm: float,
        noise_multiplier: float,
        expected_users: float,
        num_nodes: int,
        n_min: int,
        max_colluding: int,
    ) -> Self:
        """Return the mechanism with the finest unit, up to what is of use, at which the sum fits its ring.

        Args:
            num_parameters: P.
            clip_norm: L2 bound on the contribution of one user.
            noise_multiplier: standard deviation of the unknown noise in the sum, divided by clip_norm.
            expected_users: public estimate of how many users are sampled in all markets together.
            num_nodes: the most nodes that add a share.
            n_min: the fewest survivors whose sum may be opened.
            max_colluding: nodes that may know all about their share.

        Raises:
            MisuseError: no unit does, or an argument is out of range.

        Guarantees:
            `result.noise_multiplier >= noise_multiplier`.
        """
        num_shares = n_min - max_colluding
        if num_shares < 1 or max_colluding < 0 or num_nodes < n_min:
            raise MisuseError("need max_colluding < n_min <= num_nodes")
        if not (0 < noise_multiplier < math.inf and 0 <= expected_users < math.inf):
            raise MisuseError("noise_multiplier must be positive, expected_users not negative, both finite")
        for stddev_bits in range(_MAX_STDDEV_BITS, -1, -1):
            clip_units = min(MAX_CLIP_UNITS, math.floor(math.ldexp(1.0, stddev_bits) / noise_multiplier))
            share_variance = math.ceil((noise_multiplier * clip_units) ** 2 / num_shares * _UPWARD)
            if clip_units < 1 or share_variance < MIN_SHARE_STDDEV**2:
                break
            mechanism = cls(num_parameters, clip_norm, clip_units, share_variance, num_shares)
            if mechanism.largest_sum(expected_users, num_nodes) < 1 << (RING_BITS - 1):
                return mechanism
        raise MisuseError(
            "the sum does not fit the ring: lower sampling_probability or raise noise_multiplier"
        )

    @classmethod
    def of_one_party(
        cls, *, num_parameters: int, clip_norm: float, noise_multiplier: float, expected_users: float
    ) -> Self:
        """Return the mechanism of a party that trusts nobody with its noise and adds all of it by itself.

        Arguments are those of `fitting`, `expected_users` being of that party alone.
        """
        return cls.fitting(
            num_parameters=num_parameters,
            clip_norm=clip_norm,
            noise_multiplier=noise_multiplier,
            expected_users=expected_users,
            num_nodes=1,
            n_min=1,
            max_colluding=0,
        )

    @property
    def unit(self) -> float:
        """Return how much one unit is."""
        return self.clip_norm / self.clip_units

    @property
    def total_variance(self) -> int:
        """Return the variance of the noise that the adversary does not know, in squared units."""
        return self.share_variance * self.num_shares

    @property
    def noise_multiplier(self) -> float:
        """Return the standard deviation of that noise divided by the sensitivity."""
        return math.sqrt(self.total_variance) / self.clip_units

    @property
    def l1_sensitivity(self) -> int:
        """Return the L1 sensitivity: at most sqrt(P) times the L2 one and, of integers, its square."""
        return min(self.clip_units**2, math.isqrt(self.num_parameters * self.clip_units**2))

    def event(self, sampling_probability: float) -> PoissonIntegerGaussian:
        """Return what one sum of this mechanism costs."""
        return PoissonIntegerGaussian(
            sampling_probability=sampling_probability,
            clip_units=self.clip_units,
            share_variance=self.share_variance,
            num_shares=self.num_shares,
            num_parameters=self.num_parameters,
        )

    def noise_to_signal(self, expected_users: float, num_nodes: int) -> float:
        """Return the norm of the noise over that of a sum whose users all agree; above 1 little is learnt."""
        noise = math.sqrt(self.num_parameters * num_nodes * self.share_variance)
        return noise / (expected_users * self.clip_units)

    def largest_sum(self, expected_users: float, num_nodes: int) -> float:
        """Return what no coordinate of the noisy sum exceeds, except with chance 2^-100 or so."""
        noise = _SUM_STDDEVS * math.sqrt(self.share_variance * num_nodes)
        return _most_users(expected_users) * self.clip_units + noise

    def largest_norm(self, expected_users: float, num_nodes: int) -> float:
        """Return what the L2 norm of the noisy sum, in reals, exceeds with chance 2^-100 or so."""
        # The norm of P normal variables is within a few units of sqrt(P), whatever P is.
        noise = math.sqrt(self.share_variance * num_nodes) * (math.sqrt(self.num_parameters) + _SUM_STDDEVS)
        return (_most_users(expected_users) * self.clip_units + noise) * self.unit


def _most_users(expected_users: float) -> float:
    return expected_users + _SUM_STDDEVS * (math.sqrt(expected_users) + _SUM_STDDEVS)
