"""FeCoSR: federated pretraining with Semantic Soft Cross-Entropy, then local fine-tuning with an adapter.

Reference: Chen et al. 2026, "From Transfer to Collaboration: A Federated Framework for Cross-Market
Sequential Recommendation" (arXiv 2604.13573); formulas and settings are our reconstruction.
"""

from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.pretraining import as_shared, fine_tuned, pretrain
from fecosr.harness.compare.study import Study


class FeCoSR:
    """Pretrain together, then adapt at home."""

    name: ClassVar = "fecosr"
    label: ClassVar = "FeCoSR"
    description: ClassVar = "Federated pretraining with S2CE, then fine-tuning with the market's own adapter."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return one fine-tuned model per market."""
        return fine_tuned(study, pretrain(study, self.stage, loss="s2ce"))


class FeCoSRWithoutFineTuning:
    """Stop after the first stage."""

    name: ClassVar = "fecosr-no-ft"
    label: ClassVar = "- no fine-tuning"
    description: ClassVar = "FeCoSR's shared model as it is after the last round."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = FeCoSR.stage

    def train(self, study: Study) -> Trained:
        """Return the shared model for every market."""
        return as_shared(study, pretrain(study, self.stage, loss="s2ce"))
