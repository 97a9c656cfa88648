"""Between the protocol and machine learning: the node's driver asks, the market's learner answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import structlog

from fecosr.config.plan import DistributedPrivacySection
from fecosr.data.sequences import MarketSequences
from fecosr.errors import ConfigError
from fecosr.federation.aggregation import Vector
from fecosr.federation.contribution import LocalUpdate
from fecosr.federation.messages import RoundManifest
from fecosr.federation.private_rounds import DistributedPrivacy, PrivateContribution, mechanism_of
from fecosr.training.epochs import EpochReport, Progress
from fecosr.training.market import MarketLearner
from fecosr.training.private_settings import PrivateTrainingSettings

SECRET_BYTES: Final = 32
"""Fresh for every attempt: they decide which users take part, and the noise."""

Log = structlog.typing.FilteringBoundLogger


@dataclass(frozen=True, slots=True)
class MarketTrainer:
    """Train for one round on a thread of the driver's choosing.

    Attributes:
        learner: returns this market's, which can be made once the manifest's sum of sketches is stored.
        validates: whether the received model is measured on the validation users first.
        log: where progress goes.
    """

    learner: Callable[[], MarketLearner] = field(repr=False)
    validates: bool
    log: Log = field(repr=False)

    def train(self, manifest: RoundManifest, parameters: Vector) -> LocalUpdate:
        """Return the update of one round from the model the manifest names, float32 [P]."""

        def report(done: EpochReport) -> None:
            self.log.info("training_progress", round=manifest.round, fraction=done.epoch / done.max_epochs)

        learner = self.learner()
        validation = _validation(learner, parameters) if self.validates else None
        result = learner.train_round(parameters, manifest.round, report)
        return LocalUpdate(
            manifest.model_hash, result.update, result.num_users, result.loss, validation=validation
        )


@dataclass(frozen=True, slots=True)
class PrivateTrainer:
    """Make a market's contribution to one private round, noise included; nothing else leaves training.

    Attributes:
        learner: returns this market's.
        privacy: the plan's section.
        loss: of the plan's local training.
        entropy: returns that many fresh bytes from the operating system.
    """

    learner: Callable[[], MarketLearner] = field(repr=False)
    privacy: DistributedPrivacySection
    loss: Literal["s2ce", "ce"]
    entropy: Callable[[int], bytes] = field(repr=False)

    def train(self, manifest: RoundManifest, parameters: Vector) -> PrivateContribution:
        """Return the contribution to one attempt, with users and noise of its own."""
        vector = self.learner().contribute_privately(
            parameters,
            manifest.round,
            self._settings(),
            mechanism_of(manifest),
            secret=self.entropy(SECRET_BYTES),
        )
        return PrivateContribution(manifest.model_hash, vector)

    def _settings(self) -> PrivateTrainingSettings:
        return PrivateTrainingSettings(
            clip_norm=self.privacy.clip_norm,
            noise_multiplier=self.privacy.noise_multiplier,
            sampling_probability=self.privacy.sampling_probability,
            expected_users=self.privacy.expected_users,
            loss=self.loss,
            num_drawn=self.privacy.num_drawn,
        )


def _validation(learner: MarketLearner, parameters: Vector) -> float | None:
    metrics = learner.evaluate_shared(parameters, "validation")
    return metrics.ndcg_10 if metrics.num_users else None


def check_covered(privacy: DistributedPrivacy, market: MarketSequences) -> None:
    """Refuse a delta at which handing out one of this market's users in full could count as private.

    Raises:
        ConfigError: see above.
    """
    if privacy.delta * market.num_users >= 1:
        raise ConfigError(
            f"{market.market}: with {market.num_users} users, privacy.delta must be below "
            f"{1 / market.num_users:.3g}",
            remedy="have the plan changed; the run starts anew with it",
        )


def epochs_logged(log: Log, event: str) -> Progress:
    """Return a progress callback that logs `event` after every epoch."""

    def report(done: EpochReport) -> None:
        validation = None if done.validation is None else round(done.validation.ndcg_10, 4)
        log.info(
            event,
            fraction=done.epoch / max(1, done.max_epochs),
            epoch=done.epoch,
            validation_ndcg_10=validation,
        )

    return report


def encoding_logged(log: Log) -> Callable[[int, int], None]:
    """Return a callback that logs every tenth of the titles that a text model has encoded."""
    tenths = 0

    def report(done: int, total: int) -> None:
        nonlocal tenths
        if done * 10 // total > tenths:
            tenths = done * 10 // total
            log.info("encoding_progress", fraction=done / total, titles=total)

    return report


NODE_READY: Final = "node_ready"


def log_ready(log: Log, market: MarketSequences, semantics: str, embedding_hash: str) -> None:
    """Say on this market's own log what it starts with; counts stay in the market."""
    log.info(
        NODE_READY,
        users=market.num_users,
        items=market.num_items,
        interactions=market.num_interactions,
        semantics=semantics,
        embedding=embedding_hash or None,
    )
