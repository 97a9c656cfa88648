"""Everything that decides a comparison's figures, apart from the data and the seeds."""

from typing import Annotated, Final

from pydantic import Field, model_validator

from fecosr.config.learning import LearningSections
from fecosr.config.plan import AggregationSection, EarlyStoppingSection
from fecosr.config.toml import Section
from fecosr.data.markets import NamedSettings
from fecosr.federation.optimisers import Adaptive, ServerOptimiser
from fecosr.recommender.settings import EncoderSettings, S2CESettings, SemanticsSettings
from fecosr.training.settings import (
    FineTuningSettings,
    LocalBaselineSettings,
    LocalTrainingSettings,
)

Share = Annotated[float, Field(ge=0, lt=1)]
Strength = Annotated[float, Field(ge=0, le=1e6)]


_WITHOUT_TITLES: Final = ("xmarket", "sequences")
"""Formats of data that know items by their ids alone."""


class RivalSection(Section):
    """Hold the settings that rivals have and FeCoSR has not.

    Attributes:
        fedprox_strength: mu of FedProx.
        ditto_strength: lambda of Ditto.
        fedrep_head_epochs: epochs of FedRep's heads in each round.
        label_smoothing: share of a target that is spread over the whole catalogue.
        num_neighbours: of item-KNN; 0 keeps all.
    """

    fedprox_strength: Strength = 0.01
    ditto_strength: Strength = 0.1
    fedrep_head_epochs: int = Field(default=1, ge=1, le=100)
    label_smoothing: Share = 0.1
    num_neighbours: int = Field(default=0, ge=0)


class PrivateSection(Section):
    """Say how rounds under differential privacy are run; their noise follows from a method's epsilon.

    The defaults were chosen on validation users of XMarket electronics at epsilon 8: many rounds of few users
    each learn more from the same users and the same epsilon than few rounds of many (60 rounds of a quarter
    of the users: .153; 150 rounds of a tenth: .240).

    Attributes:
        rounds: one step of the server each.
        sampling_probability: of every user, for every round.
        clip_norm: L2 bound on the gradient of one user.
        delta: of the whole run.
        max_colluding: markets whose share of the noise does not count; all markets take part.
        num_drawn: public items drawn for the softmax of every step.
        server: steps along the noisy sums.
    """

    rounds: int = Field(default=150, ge=1, le=100_000)
    sampling_probability: float = Field(default=0.1, gt=0, le=1)
    clip_norm: float = Field(default=1.0, gt=0, le=1e6)
    delta: float = Field(default=1e-5, gt=0, lt=1)
    max_colluding: int = Field(default=1, ge=0)
    num_drawn: int = Field(default=256, ge=1)
    server: Annotated[ServerOptimiser, Field(discriminator="optimiser")] = Adaptive(
        "adam", learning_rate=0.01, tau=1e-5
    )


class ComparisonSettings(LearningSections):
    """Hold the whole of a settings file; sections have the names they have in a federation plan.

    The defaults are those of a market node.

    Attributes:
        rounds: of every federated method, at most.
        early_stopping: the rule by which a federated run ends before; no method is measured on test users.
    """

    rounds: int = Field(default=40, ge=1, le=100_000)
    aggregation: AggregationSection = AggregationSection(clip_norm=10.0)
    early_stopping: EarlyStoppingSection = EarlyStoppingSection()
    local_baseline: LocalBaselineSettings = LocalBaselineSettings()
    rivals: RivalSection = RivalSection()
    private: PrivateSection = PrivateSection()

    @model_validator(mode="after")
    def _can_stop(self) -> "ComparisonSettings":
        if self.early_stopping.patience and self.rounds < self.early_stopping.min_rounds:
            raise ValueError("with early_stopping, rounds is at least early_stopping.min_rounds")
        return self


def settings_for(markets: NamedSettings) -> ComparisonSettings:
    """Return the settings where nobody gave any: those of a market node, or those for data without titles.

    Both were chosen on validation users, the latter on those of XMarket electronics, with equal care for
    Local: histories without text want more dropout, fewer rounds and sharper soft targets.
    """
    if not all(data.kind in _WITHOUT_TITLES for _, data in markets):
        return ComparisonSettings()
    return ComparisonSettings(
        rounds=12,
        semantics=SemanticsSettings(kind="behaviour", dimension=128),
        encoder=EncoderSettings(dropout=0.5),
        s2ce=S2CESettings(alpha=0.3, tau=0.1, num_neighbours=20),
        local_training=LocalTrainingSettings(learning_rate=0.003),
        fine_tuning=FineTuningSettings(
            patience=3, batch_size=64, learning_rate=0.002, encoder_learning_rate=0.0005
        ),
        local_baseline=LocalBaselineSettings(patience=3, batch_size=64, learning_rate=0.003),
    )
