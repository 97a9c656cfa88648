"""FeCoSR under user-level differential privacy: what a promise to every user costs in accuracy.

Only pretraining is released, so only pretraining carries noise; what fine-tuning makes stays in its market.
"""

from dataclasses import dataclass
from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.pretraining import as_shared, fine_tuned
from fecosr.harness.compare.private_pretraining import pretrain_privately, with_public_semantics
from fecosr.harness.compare.study import Study


@dataclass(frozen=True, slots=True)
class PrivateFeCoSR:
    """Pretrain with noise, then adapt at home."""

    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    epsilon: int

    @property
    def name(self) -> str:
        """Return the name on the command line."""
        return f"fecosr-epsilon-{self.epsilon}"

    @property
    def label(self) -> str:
        """Return the name in tables."""
        return f"FeCoSR, epsilon {self.epsilon}"

    @property
    def description(self) -> str:
        """Return one sentence for the report."""
        return f"FeCoSR whose pretraining is user-level differentially private at epsilon {self.epsilon}."

    @property
    def stage(self) -> str:
        """Return the pretraining it shares with the method without fine-tuning."""
        return self.name

    def train(self, study: Study) -> Trained:
        """Return one fine-tuned model per market."""
        public = with_public_semantics(study)
        return fine_tuned(public, pretrain_privately(public, self.stage, self.epsilon))


@dataclass(frozen=True, slots=True)
class PrivateFeCoSRWithoutFineTuning:
    """Stop after the first stage: all of it is what was released."""

    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    epsilon: int

    @property
    def name(self) -> str:
        """Return the name on the command line."""
        return f"{self.stage}-no-ft"

    @property
    def label(self) -> str:
        """Return the name in tables."""
        return f"- no fine-tuning, epsilon {self.epsilon}"

    @property
    def description(self) -> str:
        """Return one sentence for the report."""
        return f"The shared model as it is released at epsilon {self.epsilon}."

    @property
    def stage(self) -> str:
        """Return the pretraining it shares with the method that goes on."""
        return PrivateFeCoSR(self.epsilon).stage

    def train(self, study: Study) -> Trained:
        """Return the shared model for every market."""
        public = with_public_semantics(study)
        return as_shared(public, pretrain_privately(public, self.stage, self.epsilon))
