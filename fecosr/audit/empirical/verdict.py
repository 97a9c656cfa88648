"""What attacks came to beside what was claimed, and in words what that means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fecosr.audit.empirical.measurements import Influence, Noise
from fecosr.privacy.empirical import Guesses

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Claim:
    """Hold what the plan promises and what the accountants make of it.

    Attributes:
        epsilon: the larger of the accountants' figures for all rounds.
        delta: at which it is stated.
        accountants: what each found.
        epsilon_of_one_sum: of a single round of which everybody knows that a user takes part.
    """

    epsilon: float
    delta: float
    accountants: Mapping[str, float]
    epsilon_of_one_sum: float


@dataclass(frozen=True, slots=True)
class Attack:
    """Hold what one attack refutes.

    Attributes:
        name: for programs.
        title: for people.
        epsilon: the lower bound.
        claimed: epsilon of what was attacked.
    """

    name: str
    title: str
    epsilon: float
    claimed: float

    @property
    def refutes(self) -> bool:
        """Return whether the claim is below the bound."""
        return self.epsilon > self.claimed


@dataclass(frozen=True, slots=True)
class Power:
    """Say how often the attack in one run would notice a fault; what a pass is worth.

    Attributes:
        half_noise: chance to notice that noise has half its standard deviation.
        quarter_noise: a quarter.
    """

    half_noise: float
    quarter_noise: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold what an empirical audit came to.

    Attributes:
        claim: what was attacked.
        attacks: lower bounds, each with confidence 95 %.
        influence: of one user on a sum.
        noise: in a sum.
        power: of the attack in one run.
        guesses: of that attack; None where no round was released.
        rounds_planned: of the plan.
        rounds_released: of the run; the coordinator refuses a sum that honest markets could not make.
        terms: the plan in a few words, for a reader.
    """

    claim: Claim
    attacks: tuple[Attack, ...]
    influence: Influence
    noise: Noise
    power: Power
    guesses: Guesses | None
    rounds_planned: int
    rounds_released: int
    terms: Mapping[str, object] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Return whether nothing was found."""
        return not self.findings

    @property
    def findings(self) -> tuple[str, ...]:
        """Return what contradicts the claim, one sentence each."""
        return tuple(self._findings())

    def _findings(self) -> Iterator[str]:
        for attack in self.attacks:
            if attack.refutes:
                yield (
                    f"{attack.title}: epsilon is at least {attack.epsilon:.2f} with confidence "
                    f"{CONFIDENCE:.0%}, but {attack.claimed:.2f} was claimed."
                )
        if self.influence.share_of_clip_norm > 1.0:
            yield (
                f"User {self.influence.user} of the first market changes a sum by "
                f"{self.influence.share_of_clip_norm:.3g} times clip_norm; at most 1 was claimed."
            )
        if self.noise.at_most < 1.0:
            yield (
                f"The noise in a sum has {self.noise.measured:.3f} times the standard deviation that was "
                "claimed."
            )
        if self.rounds_released < self.rounds_planned:
            yield (
                f"Only {self.rounds_released} of {self.rounds_planned} rounds were released: the coordinator "
                "refused a sum longer than clipping and noise can make it."
            )

    def as_json(self) -> dict[str, object]:
        """Return all of it for programs."""
        return {
            "verified": self.holds,
            "findings": list(self.findings),
            "claim": {
                "epsilon": self.claim.epsilon,
                "delta": self.claim.delta,
                "accountants": dict(self.claim.accountants),
                "epsilon_of_one_sum": self.claim.epsilon_of_one_sum,
            },
            "attacks": [
                {
                    "name": attack.name,
                    "epsilon_lower_bound": attack.epsilon,
                    "claimed": attack.claimed,
                    "confidence": CONFIDENCE,
                    "refutes": attack.refutes,
                }
                for attack in self.attacks
            ],
            "influence": {
                "user": self.influence.user,
                "share_of_clip_norm": self.influence.share_of_clip_norm,
            },
            "noise": {
                "measured": self.noise.measured,
                "at_most": self.noise.at_most,
                "num_draws": self.noise.num_draws,
            },
            "power": {
                "half_noise": self.power.half_noise,
                "quarter_noise": self.power.quarter_noise,
            },
            "guesses": None
            if self.guesses is None
            else {
                "canaries": self.guesses.num_canaries,
                "made": self.guesses.num_guesses,
                "correct": self.guesses.num_correct,
            },
            "rounds": {"planned": self.rounds_planned, "released": self.rounds_released},
            "terms": dict(self.terms),
        }
