"""What an empirical audit attacks: the plan of a federation, and how much is invested in the attack."""

import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import ValidationError

from fecosr.config.plan import Plan
from fecosr.config.privacy import DistributedPrivacySection
from fecosr.errors import ConfigError, LedgerError, MisuseError
from fecosr.federation.user_privacy import DistributedPrivacy
from fecosr.ids import NodeId
from fecosr.ledger.log import decode_entry
from fecosr.ledger.records import RunOpened
from fecosr.privacy.accounting import pld_epsilon
from fecosr.privacy.calibration import calibrate_noise_multiplier
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.recommender.settings import EMBEDDINGS
from fecosr.recommender.shared_size import num_shared_parameters
from fecosr.training.parameters import FloatVector, flatten, new_shared_model
from fecosr.training.private_settings import PrivateTrainingSettings
from fecosr.training.settings import LearningSettings, LocalBaselineSettings

NUM_MARKETS: Final = 3
MAX_COLLUDING: Final = 1
CLIP_NORM: Final = 1.0
"""Below the gradient of nearly every user of the model of `new_plan`."""
ITEM_SCALE: Final = 8.0
"""How much longer item inputs are than those of a new model."""
USERS_AT_A_TIME: Final = 128
EXPECTED_USERS: Final = 10_000.0
"""Far above the number of users there are: the coordinator refuses sums longer than so many make them, and
then no attack would have anything to look at."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Say how much an attack may cost.

    Attributes:
        num_canaries: users who are in by a fair coin each, for the attack in one run.
        num_runs: runs with one chosen user, and as many without, for the attack on one user; 0 leaves it out.
        num_users: ordinary users of each market beside them.
        seed: decides markets, coins and, other than in any real run, the secrets of all markets.

    Raises:
        ConfigError: a number is out of range.
    """

    num_canaries: int = 1000
    num_runs: int = 24
    num_users: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        if not 20 <= self.num_canaries <= 20_000:
            raise ConfigError("the number of canaries must be in 20 .. 20000")
        if self.num_runs and not 4 <= self.num_runs <= 10_000:
            raise ConfigError("the number of runs must be 0, or in 4 .. 10000")
        if not 1 <= self.num_users <= 10_000:
            raise ConfigError("the number of ordinary users must be in 1 .. 10000")

    @property
    def num_guesses(self) -> int:
        """Return how many canaries are guessed, fixed before any score is seen: a fifth, half of them "in".

        In simulations of the ideal attack this share finds a halved noise most often.
        """
        return 2 * (self.num_canaries // 10)


@dataclass(frozen=True, slots=True)
class Terms:
    """Hold a plan in mode "distributed" and what follows from it for as many markets as may be in a sum.

    Attributes:
        plan: every setting.
        privacy: its promise.
    """

    plan: Plan
    privacy: DistributedPrivacySection

    @property
    def markets(self) -> tuple[NodeId, ...]:
        """Return the markets, the fewest whose sum may be opened; the last ones collude."""
        return tuple(NodeId(f"market-{number:02}") for number in range(1, self.plan.cohort.n_min + 1))

    @property
    def colluding(self) -> frozenset[NodeId]:
        """Return those who tell the adversary all they know; the canaries are in the first market."""
        most = self.plan.cohort.max_colluding
        return frozenset(self.markets[-most:] if most else ())

    @property
    def learning(self) -> LearningSettings:
        """Return what decides model and training."""
        return self.plan.learning(LocalBaselineSettings())

    @property
    def promise(self) -> DistributedPrivacy:
        """Return the promise as the protocol knows it."""
        return self.privacy.terms()

    @property
    def training(self) -> PrivateTrainingSettings:
        """Return how a market makes its contribution."""
        return PrivateTrainingSettings(
            clip_norm=self.privacy.clip_norm,
            noise_multiplier=self.privacy.noise_multiplier,
            sampling_probability=self.privacy.sampling_probability,
            expected_users=self.privacy.expected_users,
            loss=self.plan.local_training.loss,
            num_drawn=self.privacy.num_drawn,
            users_at_a_time=USERS_AT_A_TIME,
        )

    def mechanism(self) -> IntegerMechanism:
        """Return the mechanism of every round."""
        return self.promise.mechanism(
            num_parameters=num_shared_parameters(self.plan.encoder, self.plan.semantics.dimension),
            num_nodes=len(self.markets),
            n_min=len(self.markets),
            max_colluding=self.plan.cohort.max_colluding,
        )

    def initial(self) -> FloatVector:
        """Return the parameters every run starts from, float32 [P]: new ones, items further apart.

        Then most of a gradient says which items it is of, and canaries do not look alike. A promise holds
        from whatever parameters on.
        """
        model = new_shared_model(self.learning.encoder, self.learning.semantics, self.plan.run.seed)
        with torch.no_grad():
            model.projector.output.weight *= ITEM_SCALE
        return flatten(model)


def terms_of(plan: Plan) -> Terms:
    """Return the terms of a plan that somebody ran, for generated markets.

    Semantic vectors that need files, which are not in a run folder, are replaced by those of item ids: the
    promise holds whatever the vectors are.

    Raises:
        ConfigError: the plan is of another mode.
    """
    if not isinstance(plan.privacy, DistributedPrivacySection):
        raise ConfigError(
            f'the plan is of privacy mode "{plan.privacy.mode}", of which no sum carries a promise to attack',
            remedy="give a run in mode distributed, or leave RUN_DIR out to audit terms of your own",
        )
    if plan.semantics.kind in EMBEDDINGS:
        changed = {
            **plan.model_dump(),
            "semantics": {"kind": "item_ids", "dimension": plan.semantics.dimension},
        }
        plan = Plan.model_validate(changed)
    assert isinstance(plan.privacy, DistributedPrivacySection)  # noqa: S101 - it was before
    return Terms(plan, plan.privacy)


def plan_of_run(run_dir: Path) -> Plan:
    """Return the plan that a run folder's ledger begins with.

    Raises:
        ConfigError: there is none that this version can train by.
    """
    path = run_dir / "coordinator" / "ledger.jsonl"
    try:
        with path.open("rb") as ledger:
            opened = decode_entry(ledger.readline().rstrip(b"\n"), 0).body
    except OSError:
        raise ConfigError("cannot be read", remedy="give a run folder", source=str(path)) from None
    except LedgerError as error:
        raise ConfigError(f"does not begin with a plan: {error}", source=str(path)) from None
    if not isinstance(opened, RunOpened):
        raise ConfigError("does not begin with a plan", source=str(path))
    try:
        return Plan.model_validate_json(opened.plan_json)
    except ValidationError as error:
        raise ConfigError(
            f"the plan has {error.error_count()} settings that this version does not know", source=str(path)
        ) from None


def new_plan(
    *, epsilon: float, delta: float, rounds: int, sampling_probability: float, effort: Effort
) -> Plan:
    """Return a plan that promises exactly `epsilon`, of a small model that canaries have room in.

    Raises:
        ConfigError: there is no such plan.
    """
    for name, value, is_usable in (
        ("epsilon", epsilon, 0 < epsilon <= 50),
        ("delta", delta, 0 < delta < 1 / EXPECTED_USERS),
        ("sampling_probability", sampling_probability, 0 < sampling_probability <= 1),
        ("rounds", rounds, 1 <= rounds <= 1000),
    ):
        if not is_usable or not math.isfinite(value):
            raise ConfigError(f"{name} {value} is out of range")
    privacy = DistributedPrivacy(
        epsilon=epsilon,
        delta=delta,
        clip_norm=CLIP_NORM,
        noise_multiplier=1.0,
        sampling_probability=sampling_probability,
        expected_users=EXPECTED_USERS,
    )
    try:
        noise_multiplier = _least_noise(privacy, rounds)
    except MisuseError as error:
        raise ConfigError(f"there is no such plan: {error}") from None
    return Plan.model_validate(_sections(privacy, noise_multiplier, rounds, effort.seed))


@cache
def _least_noise(privacy: DistributedPrivacy, rounds: int) -> float:
    def planned(noise_multiplier: float) -> dict[Any, int]:
        noisy = replace(privacy, noise_multiplier=noise_multiplier)
        mechanism = noisy.mechanism(
            num_parameters=1 << 15, num_nodes=NUM_MARKETS, n_min=NUM_MARKETS, max_colluding=MAX_COLLUDING
        )
        return {noisy.event(mechanism): rounds}

    return calibrate_noise_multiplier(
        planned, epsilon=privacy.epsilon, delta=privacy.delta, accountants={"pld": pld_epsilon}
    )


def _sections(privacy: DistributedPrivacy, noise_multiplier: float, rounds: int, seed: int) -> dict[str, Any]:
    return {
        "run": {"name": "empirical-audit", "rounds": rounds, "seed": seed},
        "cohort": {"n_min": NUM_MARKETS, "max_colluding": MAX_COLLUDING},
        "privacy": {
            "mode": "distributed",
            "privacy_unit": privacy.privacy_unit,
            "neighboring_relation": privacy.neighboring_relation,
            "holds_against": privacy.holds_against,
            "epsilon": privacy.epsilon,
            "delta": privacy.delta,
            "clip_norm": privacy.clip_norm,
            "noise_multiplier": noise_multiplier,
            "sampling_probability": privacy.sampling_probability,
            "expected_users": privacy.expected_users,
            "num_drawn": 16,
        },
        "aggregation": {"server": {"optimiser": "sgd", "learning_rate": 10.0}},
        "semantics": {"kind": "item_ids", "dimension": 1024},
        "local_training": {"loss": "ce"},
        "encoder": {
            "dimension": 16,
            "num_blocks": 1,
            "num_heads": 1,
            "feed_forward_dimension": 16,
            "projector_dimension": 16,
            "max_length": 8,
        },
    }
