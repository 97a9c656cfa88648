"""What decides training, as plain values. Imports nothing heavy: the coordinator reads it too."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from fecosr.recommender.settings import (
    AdapterSettings,
    EncoderSettings,
    Precision,
    S2CESettings,
    SemanticsSettings,
)

Device = Literal["auto", "cpu", "cuda"]
"""Where a market trains; "auto" is a GPU where there is one. No part of a plan: every market has its own."""

_CLOSED = {"extra": "forbid"}
"""Pydantic then refuses unknown keys, wherever these classes are sections of a plan."""


@dataclass(frozen=True, slots=True)
class LocalTrainingSettings:
    """Fix what a market does with the shared parameters in one round.

    Attributes:
        epochs: passes over the market's own sequences.
        batch_size: sequences in a batch.
        learning_rate: of AdamW, which starts afresh in every round.
        weight_decay: of AdamW.
        loss: "s2ce", or "ce" for plain cross-entropy.
        label_smoothing: share of every target that is spread over the whole catalogue alike.
        proximal: mu of FedProx, which holds the parameters near those where the round started; 0 is FedAvg.
        precision: of the products with the catalogue.

    Raises:
        ValueError: a value is out of range.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 0.004
    weight_decay: float = 0.0
    loss: Literal["s2ce", "ce"] = "s2ce"
    label_smoothing: float = 0.0
    proximal: float = 0.0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        _require(1 <= self.epochs <= 1000, "epochs must be in 1 .. 1000")
        _require(1 <= self.batch_size <= 65536, "batch_size must be in 1 .. 65536")
        _require(0.0 < self.learning_rate <= 10.0, "learning_rate must be above 0 and at most 10")
        _require(0.0 <= self.weight_decay <= 10.0, "weight_decay must be in 0 .. 10")
        _require(self.loss in ("s2ce", "ce"), "loss must be 's2ce' or 'ce'")
        _require(0.0 <= self.label_smoothing < 1.0, "label_smoothing must be at least 0 and below 1")
        _require(0.0 <= self.proximal <= 1e6, "proximal must be in 0 .. 1e6")
        _require_precision(self.precision)


@dataclass(frozen=True, slots=True)
class FineTuningSettings:
    """Fix how a market adapts the final shared model to itself, with plain cross-entropy.

    Attributes:
        max_epochs: most passes over the market's own sequences; 0 keeps the shared model as it is.
        patience: epochs without a better validation NDCG@10 before it stops.
        batch_size: sequences in a batch.
        learning_rate: of AdamW on adapter, gate and local item embedding.
        weight_decay: of AdamW.
        encoder: "frozen" leaves the shared parameters alone, "slow" trains them at `encoder_learning_rate`.
        encoder_learning_rate: of AdamW on the shared parameters, when `encoder` is "slow".
        precision: of the products with the catalogue.

    Raises:
        ValueError: a value is out of range.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    max_epochs: int = 30
    patience: int = 4
    batch_size: int = 128
    learning_rate: float = 0.001
    weight_decay: float = 0.0
    encoder: Literal["frozen", "slow"] = "slow"
    encoder_learning_rate: float = 0.0003
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        _require(0 <= self.max_epochs <= 10000, "max_epochs must be in 0 .. 10000")
        _require(self.patience >= 1, "patience must be at least 1")
        _require(1 <= self.batch_size <= 65536, "batch_size must be in 1 .. 65536")
        _require(0.0 < self.learning_rate <= 10.0, "learning_rate must be above 0 and at most 10")
        _require(0.0 <= self.weight_decay <= 10.0, "weight_decay must be in 0 .. 10")
        _require(self.encoder in ("frozen", "slow"), "encoder must be 'frozen' or 'slow'")
        _require(
            0.0 < self.encoder_learning_rate <= 10.0, "encoder_learning_rate must be above 0 and at most 10"
        )
        _require_precision(self.precision)


@dataclass(frozen=True, slots=True)
class LocalBaselineSettings:
    """Fix how a market trains the same model alone, from its own start: the method FeCoSR has to beat.

    Attributes:
        max_epochs: most passes over the market's own sequences.
        patience: epochs without a better validation NDCG@10 before it stops.
        batch_size: sequences in a batch.
        learning_rate: of AdamW on every parameter.
        schedule: "constant", or "cosine": up at first and then down, to zero at `max_epochs`.
        weight_decay: of AdamW.
        precision: of the products with the catalogue.

    Raises:
        ValueError: a value is out of range.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    max_epochs: int = 40
    patience: int = 5
    batch_size: int = 32
    learning_rate: float = 0.002
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: float = 0.0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        _require(1 <= self.max_epochs <= 10000, "max_epochs must be in 1 .. 10000")
        _require(self.patience >= 1, "patience must be at least 1")
        _require(1 <= self.batch_size <= 65536, "batch_size must be in 1 .. 65536")
        _require(0.0 < self.learning_rate <= 10.0, "learning_rate must be above 0 and at most 10")
        _require(self.schedule in ("constant", "cosine"), "schedule must be 'constant' or 'cosine'")
        _require(0.0 <= self.weight_decay <= 10.0, "weight_decay must be in 0 .. 10")
        _require_precision(self.precision)


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """Gather what decides model and training; the first four must be the same in every market.

    Attributes:
        semantics: from item text to semantic vectors.
        encoder: the shared model.
        s2ce: the loss of pretraining.
        local_training: one round in one market.
        adapter: what a market adds.
        fine_tuning: after the last round.
        local_baseline: the method without other markets.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _CLOSED

    semantics: SemanticsSettings = field(default_factory=SemanticsSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    s2ce: S2CESettings = field(default_factory=S2CESettings)
    local_training: LocalTrainingSettings = field(default_factory=LocalTrainingSettings)
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    fine_tuning: FineTuningSettings = field(default_factory=FineTuningSettings)
    local_baseline: LocalBaselineSettings = field(default_factory=LocalBaselineSettings)


def _require_precision(precision: Precision) -> None:
    _require(precision in get_args(Precision), f"precision must be one of {', '.join(get_args(Precision))}")


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise ValueError(rule)
