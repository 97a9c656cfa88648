"""Between the protocol and machine learning: the node's driver asks, the market's learner answers."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import torch

from fecosr.config.parties import NodeConfig
from fecosr.config.plan import Plan
from fecosr.config.privacy import LocalPrivacySection, PrivateSection
from fecosr.data.sequences import MarketSequences
from fecosr.federation.aggregation import Vector
from fecosr.federation.contribution import LocalUpdate
from fecosr.federation.messages import RoundManifest
from fecosr.federation.private_rounds import NoisyUpdate, PrivateContribution, mechanism_of
from fecosr.recommender.semantics import EmbeddingAccess
from fecosr.training.epochs import EpochReport, Progress
from fecosr.training.market import MarketLearner
from fecosr.training.private_settings import PrivateTrainingSettings
from fecosr.training.sharded.group import ShardGroup
from fecosr.training.sharded.learner import ShardedLearner
from market_node.readiness import Log

SECRET_BYTES: Final = 32
"""Fresh for every training: they decide which users take part, and the noise."""


def new_learner(
    config: NodeConfig, plan: Plan, data: MarketSequences, sketches: Vector | None, access: EmbeddingAccess
) -> MarketLearner:
    """Return this market's learner, on the device, with the threads and shards that its configuration says.

    Args:
        config: of the node.
        plan: of the run.
        data: this market's sequences.
        sketches: the sum of all markets' sketches, where the plan makes vectors of them.
        access: how this machine gets at an embedding.

    Raises:
        ConfigError: the device or the embedding cannot be used here, or the market's policy lets no update
            of these parameters leave.
        ShardLost: another process of the node has ended.
    """
    torch.set_num_threads(config.num_threads)
    settings = plan.learning(config.report.local_training)
    learner: MarketLearner
    if config.num_shards > 1:
        group = ShardGroup.join(0, config.num_shards, plan.hash())
        learner = ShardedLearner(group, data, settings, seed=plan.run.seed, access=access)
    else:
        learner = MarketLearner(
            data,
            settings,
            seed=plan.run.seed,
            device=config.device,
            sketches=sketches,
            access=access,
        )
    config.policy.check_parameters(name for name, _ in learner.shared_layout.parts)
    return learner


@dataclass(frozen=True, slots=True)
class MarketTrainer:
    """Train for one round on a thread of the driver's choosing.

    Attributes:
        learner: this market's.
        validates: whether the received model is measured on the validation users first.
        log: where progress goes.
    """

    learner: MarketLearner = field(repr=False)
    validates: bool
    log: Log = field(repr=False)

    def train(self, manifest: RoundManifest, parameters: Vector) -> LocalUpdate:
        """Return the update of one round from the model the manifest names, float32 [P]."""

        def report(done: EpochReport) -> None:
            self.log.info("training_progress", round=manifest.round, fraction=done.epoch / done.max_epochs)

        validation = _validation(self.learner, parameters) if self.validates else None
        result = self.learner.train_round(parameters, manifest.round, report)
        return LocalUpdate(
            manifest.model_hash, result.update, result.num_users, result.loss, validation=validation
        )


@dataclass(frozen=True, slots=True)
class PrivateTrainer:
    """Make a market's contribution to one private round, noise included; nothing else leaves training.

    Attributes:
        learner: this market's.
        privacy: the plan's section.
        loss: of the plan's local training.
        entropy: returns that many fresh bytes from the operating system.
    """

    learner: MarketLearner = field(repr=False)
    privacy: PrivateSection
    loss: Literal["s2ce", "ce"]
    entropy: Callable[[int], bytes] = field(repr=False)

    def train(self, manifest: RoundManifest, parameters: Vector) -> PrivateContribution | NoisyUpdate:
        """Return the contribution to one attempt, or the update of one round, with noise of its own."""
        learner, settings, number = self.learner, self._settings(), manifest.round
        mechanism, secret = mechanism_of(manifest, self.privacy.terms()), self.entropy(SECRET_BYTES)
        if isinstance(self.privacy, LocalPrivacySection):
            update = learner.train_privately(parameters, number, settings, mechanism, secret=secret)
            return NoisyUpdate(manifest.model_hash, update)
        vector = learner.contribute_privately(parameters, number, settings, mechanism, secret=secret)
        return PrivateContribution(manifest.model_hash, vector)

    def _settings(self) -> PrivateTrainingSettings:
        settings = PrivateTrainingSettings(
            clip_norm=self.privacy.clip_norm,
            noise_multiplier=self.privacy.noise_multiplier,
            sampling_probability=self.privacy.sampling_probability,
            expected_users=self.privacy.expected_users,
            loss=self.loss,
            num_drawn=self.privacy.num_drawn,
        )
        if not isinstance(self.privacy, LocalPrivacySection):
            return settings
        return replace(settings, steps=self.privacy.steps, learning_rate=self.privacy.learning_rate)


def _validation(learner: MarketLearner, parameters: Vector) -> float | None:
    metrics = learner.evaluate_shared(parameters, "validation")
    return metrics.ndcg_10 if metrics.num_users else None


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
