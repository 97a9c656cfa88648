"""FedAvg: average the markets' updates of cross-entropy training, with and without fine-tuning afterwards.

Reference: McMahan et al. 2017, "Communication-Efficient Learning of Deep Networks from Decentralized Data".
"""

from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.pretraining import as_shared, fine_tuned, pretrain
from fecosr.harness.compare.study import Study


class FedAvgCE:
    """Use the averaged model as it is."""

    name: ClassVar = "fedavg-ce"
    label: ClassVar = "FedAvg-CE"
    description: ClassVar = "FedAvg with cross-entropy; every market uses the shared model as it is."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return the shared model for every market."""
        return as_shared(study, pretrain(study, self.stage, loss="ce"))


class FedAvgCEFineTuned:
    """Fine-tune the averaged model in each market: the decisive comparator, and FeCoSR without S2CE."""

    name: ClassVar = "fedavg-ce-ft"
    label: ClassVar = "FedAvg-CE + ft"
    description: ClassVar = "FedAvg with cross-entropy, then FeCoSR's fine-tuning: FeCoSR without S2CE."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = FedAvgCE.stage

    def train(self, study: Study) -> Trained:
        """Return one fine-tuned model per market."""
        return fine_tuned(study, pretrain(study, self.stage, loss="ce"))
