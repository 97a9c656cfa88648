"""Label smoothing: soft targets without semantics. If S2CE only regularised, this would do as well.

Reference: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", section 7.
"""

from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.pretraining import fine_tuned, pretrain
from fecosr.harness.compare.study import Study


class LabelSmoothingFineTuned:
    """Spread a share of every target over the whole catalogue alike, then fine-tune."""

    name: ClassVar = "label-smoothing-ft"
    label: ClassVar = "Label smoothing + ft"
    description: ClassVar = "FedAvg with label smoothing in place of S2CE, then FeCoSR's fine-tuning."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = "label-smoothing"

    def train(self, study: Study) -> Trained:
        """Return one fine-tuned model per market."""
        smoothing = study.settings.rivals.label_smoothing
        return fine_tuned(study, pretrain(study, self.stage, loss="ce", label_smoothing=smoothing))
