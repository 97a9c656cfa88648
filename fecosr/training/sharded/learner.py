"""Shard 0 is the market's learner and says what is to be done; the other shards do it with their rows."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import assert_never

import torch
from torch import Tensor

from fecosr.data.sequences import MarketSequences
from fecosr.errors import ConfigError
from fecosr.recommender.metrics import RankingMetrics
from fecosr.recommender.model import MarketModel, SharedModel
from fecosr.recommender.semantics import NO_ACCESS, EmbeddingAccess
from fecosr.training.epochs import Progress, ignore_progress
from fecosr.training.evaluation import Part, evaluate
from fecosr.training.fine_tuning import FineTuned, train_adapter
from fecosr.training.local import LocalResult, train_locally
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import FloatVector, load_into, new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.regression import fit_regression
from fecosr.training.settings import LearningSettings
from fecosr.training.sharded.group import ShardGroup
from fecosr.training.sharded.handing_out import hand_out, receive
from fecosr.training.sharded.shard import TABLE, Shard


class Order(IntEnum):
    """Say what all shards do next."""

    END = 0
    TRAIN_ROUND = 1
    VALIDATE = 2
    FINE_TUNE = 3


@dataclass(frozen=True, slots=True)
class _Part:
    """Do what all shards do, with one shard's rows."""

    data: PreparedMarket
    shard: Shard
    settings: LearningSettings
    seed: int

    def train_round(
        self, shared: FloatVector, number: int, progress: Progress = ignore_progress
    ) -> LocalResult:
        training = self.settings.local_training
        return train_locally(
            self._model(), self.data, shared, training, seed=self.seed, round_number=number, progress=progress
        )

    def validate(self, shared: FloatVector) -> RankingMetrics:
        model = self._model()
        load_into(model, shared)
        return evaluate(model, self.data, "validation")

    def fine_tune(
        self, shared: FloatVector, progress: Progress = ignore_progress
    ) -> tuple[FineTuned, Tensor | None]:
        """Return the model with this shard's rows of the table and, in shard 0, the whole table, [V, D]."""
        adapter, tuning = self.settings.adapter, self.settings.fine_tuning
        tuned = train_adapter(
            self._model(), shared, self.data, adapter, tuning, seed=self.seed, progress=progress
        )
        return tuned, self.shard.whole(tuned.model.adapter.local_items.detach())

    def _model(self) -> SharedModel:
        return new_shared_model(self.settings.encoder, self.settings.semantics, self.seed)


class ShardedLearner(MarketLearner):
    """Learn for one market together with the other shards; made in shard 0.

    Rounds, validation and fine-tuning are divided. Baselines and final figures are for this process alone.

    Args:
        group: all shards.
        data: the market's sequences.
        settings: of model and training, the same in every shard.
        seed: of the run.
        access: how this machine gets at an embedding, where semantic vectors are made with one.

    Raises:
        ConfigError: there are fewer items than shards.
        ShardLost: another shard has ended; from every method.
    """

    def __init__(
        self,
        group: ShardGroup,
        data: MarketSequences,
        settings: LearningSettings,
        *,
        seed: int,
        access: EmbeddingAccess = NO_ACCESS,
    ) -> None:
        if data.num_items < group.num_shards:
            raise ConfigError(f"{data.num_items} items cannot be divided among {group.num_shards} shards")
        super().__init__(data, settings, seed=seed, access=access)
        self._group = group
        shard = Shard(group, data.num_items)
        self._part = _Part(hand_out(shard, self.data), shard, settings, seed)

    def train_round(
        self, shared: FloatVector, round_number: int, progress: Progress = ignore_progress
    ) -> LocalResult:
        """Return this market's contribution to one round that starts from `shared`."""
        self._order(Order.TRAIN_ROUND, shared, round_number)
        return self._part.train_round(shared, round_number, progress)

    def evaluate_shared(self, shared: FloatVector, part: Part = "test") -> RankingMetrics:
        """Return the metrics of the shared model as it is, without fine-tuning."""
        if part != "validation":
            return super().evaluate_shared(shared, part)
        self._order(Order.VALIDATE, shared)
        return self._part.validate(shared)

    def fine_tune(self, shared: FloatVector, progress: Progress = ignore_progress) -> FineTuned:
        """Return this market's own model, made from the final shared parameters."""
        self._order(Order.FINE_TUNE, shared)
        tuned, table = self._part.fine_tune(shared, progress)
        model = MarketModel(tuned.model.shared, self.data.num_items, self.settings.adapter)
        model.load_state_dict({**tuned.model.state_dict(), TABLE: table})
        return FineTuned(model, tuned.best_epoch, fit_regression(model, self.data))

    def close(self) -> None:
        """Let the other shards end."""
        self._order(Order.END, None)
        self._group.leave()

    def _order(self, order: Order, shared: FloatVector | None, number: int = 0) -> None:
        self._group.from_first(torch.tensor([order, number]))
        if shared is not None:
            self._group.from_first(torch.from_numpy(shared))


def follow(
    group: ShardGroup, settings: LearningSettings, seed: int, say: Callable[[Order, int], None]
) -> None:
    """Compute with this shard's rows whatever shard 0 orders, until it says that this was all.

    Args:
        group: all shards.
        settings: the same as in shard 0.
        seed: of the run.
        say: is told of every order, and of which round.

    Raises:
        ShardLost: another shard has ended.
    """
    data, shard = receive(group)
    part = _Part(data, shard, settings, seed)
    while True:
        header = group.from_first(None).tolist()
        order, number = Order(header[0]), header[1]
        say(order, number)
        if order is Order.END:
            return
        shared = group.from_first(None).numpy()
        match order:
            case Order.TRAIN_ROUND:
                part.train_round(shared, number)
            case Order.VALIDATE:
                part.validate(shared)
            case Order.FINE_TUNE:
                part.fine_tune(shared)
            case _:
                assert_never(order)
