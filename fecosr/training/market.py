"""The learner of one market: everything a market node asks of machine learning, in one object."""

import numpy as np
import numpy.typing as npt

from fecosr.data.sequences import MarketSequences
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.recommender.metrics import RankingMetrics
from fecosr.recommender.model import SequenceModel, SharedModel
from fecosr.recommender.semantics import NO_ACCESS, EmbeddingAccess, FloatArray
from fecosr.training.baselines.local import train_alone
from fecosr.training.baselines.popularity import evaluate_popularity
from fecosr.training.devices import torch_device
from fecosr.training.epochs import Progress, ignore_progress
from fecosr.training.evaluation import Part, evaluate
from fecosr.training.fine_tuning import FineTuned, fine_tune
from fecosr.training.local import LocalResult, train_locally
from fecosr.training.parameters import FloatVector, Layout, layout_of, load_into, new_shared_model
from fecosr.training.prepared import prepare
from fecosr.training.private import distributed_contribution, train_privately
from fecosr.training.private_settings import PrivateTrainingSettings
from fecosr.training.seeds import derive_seed
from fecosr.training.settings import Device, LearningSettings


class MarketLearner:
    """Train, fine-tune and evaluate in one market.

    Neighbours and split are computed once, when it is made. Its methods take seconds to minutes and keep no
    state between calls, so a driver may run them on a thread of its own, one at a time.

    Args:
        data: the market's sequences.
        settings: of model and training.
        seed: of the run.
        device: where to train and evaluate.
        sketches: the sum of all markets' behaviour sketches, where semantic vectors are made of them.
        access: how this machine gets at an embedding, where semantic vectors are made with one.
    """

    def __init__(
        self,
        data: MarketSequences,
        settings: LearningSettings,
        *,
        seed: int,
        device: Device = "cpu",
        sketches: FloatArray | None = None,
        access: EmbeddingAccess = NO_ACCESS,
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.sketches = sketches
        prepared = prepare(data, settings.semantics, settings.s2ce, sketches, access=access)
        self.data = prepared.on(torch_device(device))

    @property
    def semantics_source(self) -> str:
        """Return what the semantic vectors were made from, in words for a report."""
        return self.data.semantics_source

    @property
    def shared_layout(self) -> Layout:
        """Return which parameters an update is of; all of a market's own are none of them."""
        return layout_of(self._shared_model())

    def train_round(
        self, shared: FloatVector, round_number: int, progress: Progress = ignore_progress
    ) -> LocalResult:
        """Return this market's contribution to one round that starts from `shared`."""
        return train_locally(
            self._shared_model(),
            self.data,
            shared,
            self.settings.local_training,
            seed=self.seed,
            round_number=round_number,
            progress=progress,
        )

    def contribute_privately(
        self,
        shared: FloatVector,
        round_number: int,
        settings: PrivateTrainingSettings,
        mechanism: IntegerMechanism,
        *,
        secret: bytes,
    ) -> npt.NDArray[np.uint32]:
        """Return what this market adds to the sum of a private round, as `distributed_contribution` does."""
        return distributed_contribution(
            self._shared_model(),
            self.data,
            shared,
            settings,
            mechanism,
            public_seed=derive_seed(self.seed, "private-round", round_number),
            secret=secret,
        )

    def train_privately(
        self,
        shared: FloatVector,
        round_number: int,
        settings: PrivateTrainingSettings,
        mechanism: IntegerMechanism,
        *,
        secret: bytes,
    ) -> FloatVector:
        """Return the noisy update of one round of mode "local", as the function of this name does."""
        return train_privately(
            self._shared_model(),
            self.data,
            shared,
            settings,
            mechanism,
            public_seed=derive_seed(self.seed, "private-round", round_number),
            secret=secret,
        )

    def fine_tune(self, shared: FloatVector, progress: Progress = ignore_progress) -> FineTuned:
        """Return this market's own model, made from the final shared parameters."""
        return fine_tune(
            self._shared_model(),
            shared,
            self.data,
            self.settings.adapter,
            self.settings.fine_tuning,
            seed=self.seed,
            progress=progress,
        )

    def train_alone(self, progress: Progress = ignore_progress) -> FineTuned:
        """Return the model this market gets without the others."""
        return train_alone(
            self.data,
            self.settings.encoder,
            self.settings.adapter,
            self.settings.local_baseline,
            seed=self.seed,
            progress=progress,
        )

    def evaluate(
        self, model: SequenceModel, part: Part = "test", *, history_filtered: bool = True
    ) -> RankingMetrics:
        """Return a model's metrics on this market's validation or test targets."""
        return evaluate(model, self.data, part, history_filtered=history_filtered)

    def evaluate_shared(self, shared: FloatVector, part: Part = "test") -> RankingMetrics:
        """Return the metrics of the shared model as it is, without fine-tuning."""
        model = self._shared_model()
        load_into(model, shared)
        return evaluate(model, self.data, part)

    def evaluate_popularity(self, part: Part = "test", *, history_filtered: bool = True) -> RankingMetrics:
        """Return the metrics of popularity on the same targets."""
        return evaluate_popularity(self.data, part, history_filtered=history_filtered)

    def close(self) -> None:
        """Release what a learner has beside itself, of which one process has nothing."""

    def _shared_model(self) -> SharedModel:
        # Its parameters are overwritten; made this way, it leaves torch's own generator alone.
        model = new_shared_model(self.settings.encoder, self.settings.semantics, self.seed)
        return model.to(self.data.device)
