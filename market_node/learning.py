"""Between the protocol and machine learning: the node's driver asks, the market's learner answers."""

from dataclasses import dataclass, field
from typing import Final

import structlog

from fecosr.config.parties import NodeConfig
from fecosr.config.plan import Plan
from fecosr.data.sequences import MarketSequences
from fecosr.federation.aggregation import Vector
from fecosr.federation.contribution import LocalUpdate
from fecosr.federation.messages import RoundManifest
from fecosr.training.epochs import EpochReport, Progress
from fecosr.training.market import MarketLearner
from fecosr.training.settings import LearningSettings

Log = structlog.typing.FilteringBoundLogger


def learning_settings(plan: Plan, config: NodeConfig) -> LearningSettings:
    """Return what decides learning: the plan, and for the baseline this market's own settings."""
    return LearningSettings(
        semantics=plan.semantics,
        encoder=plan.encoder,
        s2ce=plan.s2ce,
        local_training=plan.local_training,
        adapter=plan.adapter,
        fine_tuning=plan.fine_tuning,
        local_baseline=config.report.local_training,
    )


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

        validation = self._validation(parameters) if self.validates else None
        result = self.learner.train_round(parameters, manifest.round, report)
        return LocalUpdate(
            manifest.model_hash, result.update, result.num_users, result.loss, validation=validation
        )

    def _validation(self, parameters: Vector) -> float | None:
        metrics = self.learner.evaluate_shared(parameters, "validation")
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


NODE_READY: Final = "node_ready"


def log_ready(log: Log, market: MarketSequences, learner: MarketLearner) -> None:
    """Say on this market's own log what it starts with; counts stay in the market."""
    log.info(
        NODE_READY,
        users=market.num_users,
        items=market.num_items,
        interactions=market.num_interactions,
        semantics=learner.semantics_source,
    )
