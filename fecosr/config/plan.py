"""The federation plan: every setting that all parties must share, and its hash."""

import json
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from fecosr.config.learning import LearningSections
from fecosr.config.privacy import (
    DistributedPrivacySection,
    NoPrivacySection,
    PrivacySection,
    PrivateSection,
)
from fecosr.config.toml import Section, load
from fecosr.crypto.labels import sha256
from fecosr.errors import MisuseError
from fecosr.federation.ending import EarlyStopping
from fecosr.federation.optimisers import ServerOptimiser, Sgd
from fecosr.federation.plan import FederationPlan
from fecosr.federation.sketch import SketchTerms
from fecosr.federation.user_privacy import UserPrivacy
from fecosr.ids import RunId, run_id
from fecosr.privacy.integer_mechanism import RING_BITS
from fecosr.recommender.settings import EMBEDDINGS
from fecosr.secagg.messages import Phase
from fecosr.secagg.parameters import MAX_CLIENTS

MOST_STOPPED_ROUNDS: Final = 10_000
"""With early stopping the whole history travels in one message at the end."""

Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600)]


class RunSection(Section):
    """Name the run and say how long it is."""

    name: Annotated[str, AfterValidator(run_id)]
    rounds: int = Field(ge=1, le=100_000)
    seed: int = Field(ge=0, lt=2**63)
    max_attempts: int = Field(default=5, ge=1, le=100)


class CohortSection(Section):
    """Say how many markets must be present and how many may collude; neither has a default.

    `participation` is how many markets are invited to each round: up to 1 a fraction of them, rounded up, and
    from 2 a number. Who is invited follows from run, round and roster.
    """

    n_min: int = Field(ge=2, le=MAX_CLIENTS)
    max_colluding: int = Field(ge=0, le=MAX_CLIENTS - 2)
    participation: float = Field(default=1.0, gt=0, le=MAX_CLIENTS)

    @field_validator("participation")
    @classmethod
    def _fraction_or_number(cls, participation: float) -> float:
        if participation > 1 and participation != int(participation):
            raise ValueError("participation is a fraction up to 1, or a whole number of markets")
        return participation


class DeadlineSection(Section):
    """Bound every wait of the coordinator."""

    join_seconds: Seconds = 60.0
    training_seconds: Seconds = 3600.0
    phase_seconds: Seconds = 60.0
    finish_seconds: Seconds = 600.0


class AggregationSection(Section):
    """Say how updates are bounded, weighted and applied.

    Uploads take `ring_bits` / 8 bytes per parameter; in a small ring updates are rounded more coarsely.
    A market with n users weighs `min(1, n / reference_num_users) ** weight_exponent`; the exponent below 1
    keeps a large market from drowning a small one. In privacy mode "distributed" only `server` counts: what
    bounds a contribution is `privacy.clip_norm`, every user weighs the same, and no loss is sent. In mode
    "local" `clip_norm` and `ring_bits` count as well, every market weighs the same, and no loss is sent.

    `sketch_norm` counts only where semantics are made from behaviour: a market's whole sketch is shortened to
    it, so that no sum leaves the ring. What one user adds is bounded by `semantics.sketch_clip_norm`.
    """

    clip_norm: float | None = Field(default=None, gt=0, le=1e6, allow_inf_nan=False)
    ring_bits: Literal[32, 24, 16] = 32
    max_loss: float = Field(default=20.0, gt=0, le=1e6, allow_inf_nan=False)
    sketch_norm: float = Field(default=20_000.0, gt=0, le=1e6, allow_inf_nan=False)
    reference_num_users: int = Field(default=10_000, ge=1)
    weight_exponent: float = Field(default=0.5, ge=0, le=1)
    server: Annotated[ServerOptimiser, Field(discriminator="optimiser")] = Sgd()

    def update_bound(self) -> float:
        """Return the L2 bound on a market's update, which every plan without noise has.

        Raises:
            MisuseError: there is none.
        """
        if self.clip_norm is None:
            raise MisuseError("a plan without noise bounds updates by aggregation.clip_norm")
        return self.clip_norm


class EarlyStoppingSection(Section):
    """Say when the run ends before its last round; `patience` 0 is never.

    The run ends when `patience` released models in a row are no better than the best before them, but not
    before `min_rounds`. The best is the final model.
    """

    patience: int = Field(default=0, ge=0, le=10_000)
    min_rounds: int = Field(default=2, ge=2, le=10_000)

    def rule(self) -> EarlyStopping | None:
        """Return the rule as the protocol knows it."""
        return EarlyStopping(self.patience, self.min_rounds) if self.patience else None


class FederationSections(Section):
    """Hold what decides the run apart from what is learned in it."""

    run: RunSection
    cohort: CohortSection
    privacy: PrivacySection
    aggregation: AggregationSection
    early_stopping: EarlyStoppingSection = EarlyStoppingSection()
    deadlines: DeadlineSection = DeadlineSection()


class Plan(LearningSections, FederationSections):
    """Hold the whole of plan.toml; it is written in the order of the bases, the last one first."""

    @model_validator(mode="after")
    def _hides_somebody(self) -> "Plan":
        if self.cohort.n_min < self.cohort.max_colluding + 2:
            raise ValueError(
                "cohort.n_min must be at least cohort.max_colluding + 2, or the sum hides nobody"
            )
        if 1 < self.cohort.participation < self.cohort.n_min:
            raise ValueError("cohort.participation must be at least cohort.n_min, or no round can open")
        if not isinstance(self.privacy, DistributedPrivacySection) and self.aggregation.clip_norm is None:
            raise ValueError(f'aggregation.clip_norm is needed in privacy mode "{self.privacy.mode}"')
        if not isinstance(self.privacy, NoPrivacySection):
            self._leaves_nothing_without_noise(self.privacy)
        if self.early_stopping.patience:
            self._can_stop_early()
        if self.semantics.kind in EMBEDDINGS and not self.semantics.embedding_hash:
            raise ValueError(
                f"semantics.embedding_hash is missing, by which markets agree on the files of kind "
                f"{self.semantics.kind!r}; fecosr semantics {self.semantics.kind} prints it"
            )
        return self

    def _leaves_nothing_without_noise(self, privacy: PrivateSection) -> None:
        """Refuse what would let a round depend on users without noise, or what has no meaning with it."""
        is_distributed = isinstance(privacy, DistributedPrivacySection)
        rules = {
            "aggregation.clip_norm bounds markets; privacy.clip_norm bounds users": (
                is_distributed and self.aggregation.clip_norm is not None
            ),
            "aggregation.ring_bits must be 32": is_distributed and self.aggregation.ring_bits != RING_BITS,
            'semantics.kind must not be "behaviour", whose sketch noise would drown: use titles or ids': (
                self.semantics.kind == "behaviour"
            ),
            "early_stopping would follow a metric without noise": self.early_stopping.patience > 0,
            's2ce.support must not be "catalogue"': self.s2ce.support == "catalogue",
            "local_training.label_smoothing must be 0": self.local_training.label_smoothing > 0,
            "local_training.proximal must be 0: its pull is no part of private steps": (
                self.local_training.proximal > 0
            ),
            "privacy.delta must be below 1 / privacy.expected_users": (
                privacy.delta * privacy.expected_users >= 1
            ),
        }
        for rule, broken in rules.items():
            if broken:
                raise ValueError(f'in privacy mode "{privacy.mode}" {rule}')

    def _can_stop_early(self) -> None:
        if not self.releases_validation:
            raise ValueError('early_stopping needs privacy.validation = "released"')
        if not self.early_stopping.min_rounds <= self.run.rounds <= MOST_STOPPED_ROUNDS:
            raise ValueError(
                f"with early_stopping, run.rounds is at least early_stopping.min_rounds and at most "
                f"{MOST_STOPPED_ROUNDS}"
            )

    @property
    def releases_validation(self) -> bool:
        """Return whether every round also opens the mean validation metric."""
        return isinstance(self.privacy, NoPrivacySection) and self.privacy.validation == "released"

    @property
    def clip_norm(self) -> float:
        """Return the L2 bound on a market's update; in mode "distributed", on a user's contribution."""
        if isinstance(self.privacy, DistributedPrivacySection):
            return self.privacy.clip_norm
        return self.aggregation.update_bound()

    def privacy_terms(self) -> UserPrivacy | None:
        """Return what is promised to users; None in mode "none"."""
        return None if isinstance(self.privacy, NoPrivacySection) else self.privacy.terms()

    def sketch_terms(self) -> SketchTerms | None:
        """Return what the sketch round adds up; None where semantics are not made from behaviour."""
        if self.semantics.kind != "behaviour":
            return None
        return SketchTerms(self.semantics.sketch_length, self.aggregation.sketch_norm)

    def canonical(self) -> str:
        """Return the one JSON text of this plan: sorted keys, defaults written out."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True
        )

    def hash(self) -> bytes:
        """Return the 32 bytes that stand for this plan in every manifest and in the ledger."""
        return sha256(self.canonical().encode("ascii"))

    def federation(self) -> FederationPlan:
        """Return the part the protocol acts upon."""
        phases = dict.fromkeys(Phase, self.deadlines.phase_seconds)
        phases[Phase.ADVERTISE_KEYS] = self.deadlines.training_seconds
        return FederationPlan(
            run=RunId(self.run.name),
            rounds=self.run.rounds,
            early_stopping=self.early_stopping.rule(),
            max_attempts=self.run.max_attempts,
            text=self.canonical(),
            n_min=self.cohort.n_min,
            max_colluding=self.cohort.max_colluding,
            participation=self.cohort.participation,
            clip_norm=self.clip_norm,
            ring_bits=self.aggregation.ring_bits,
            releases_validation=self.releases_validation,
            max_loss=self.aggregation.max_loss,
            reference_num_users=self.aggregation.reference_num_users,
            weight_exponent=self.aggregation.weight_exponent,
            server=self.aggregation.server,
            join_seconds=self.deadlines.join_seconds,
            finish_seconds=self.deadlines.finish_seconds,
            phase_seconds=phases,
            privacy=self.privacy_terms(),
            sketch=self.sketch_terms(),
        )


def load_plan(path: Path) -> Plan:
    """Return the plan at `path`.

    Raises:
        ConfigError: it cannot be used; the message names file, line and remedy.
    """
    return load(path, Plan)
