"""FedProx: FedAvg whose markets are held near the shared parameters while they train.

Reference: Li et al. 2020, "Federated Optimization in Heterogeneous Networks".
"""

from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.pretraining import fine_tuned, pretrain
from fecosr.harness.compare.study import Study


class FedProxFineTuned:
    """Add mu / 2 |w - w_0|^2 to every market's cross-entropy, then fine-tune."""

    name: ClassVar = "fedprox-ft"
    label: ClassVar = "FedProx + ft"
    description: ClassVar = "FedAvg-CE with a proximal term in local training, then FeCoSR's fine-tuning."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = "fedprox"

    def train(self, study: Study) -> Trained:
        """Return one fine-tuned model per market."""
        strength = study.settings.rivals.fedprox_strength
        return fine_tuned(study, pretrain(study, self.stage, loss="ce", proximal=strength))
