"""FeCoSR with one part left out. Without S2CE it is FedAvg-CE + ft; without fine-tuning see `fecosr.py`."""

from dataclasses import replace
from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.methods.fecosr import FeCoSR
from fecosr.harness.compare.pretraining import fine_tuned, new_model, pretrain
from fecosr.harness.compare.study import Study
from fecosr.training.baselines.plain_fine_tuning import fine_tune_shared
from fecosr.training.evaluation import Scorer, model_scorer


class FeCoSRWithoutFederation:
    """Run both stages in every market alone: as many rounds, and nobody to average with."""

    name: ClassVar = "fecosr-no-federation"
    label: ClassVar = "- no federation"
    description: ClassVar = "Both stages of FeCoSR, S2CE and all, in each market alone."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = False
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return one fine-tuned model per market, each having seen its market only."""
        scorers = dict[str, Scorer]()
        for name in study.markets:
            alone = study.only(name)
            scorers |= fine_tuned(alone, pretrain(alone, f"{self.stage}-{name}", loss="s2ce")).scorers
        return Trained(scorers)


class FeCoSRWithoutAdapter:
    """Fine-tune the shared model itself: no adapter, no item table."""

    name: ClassVar = "fecosr-no-adapter"
    label: ClassVar = "- no adapter"
    description: ClassVar = (
        "FeCoSR whose markets fine-tune the shared model itself, without adapter and item table."
    )
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = FeCoSR.stage

    def train(self, study: Study) -> Trained:
        """Return one fine-tuned shared model per market."""
        pretrained = pretrain(study, self.stage, loss="s2ce")
        scorers = dict[str, Scorer]()
        for number, (name, data) in enumerate(study.markets.items()):
            study.advance("fine-tuning", number, len(study.markets))
            model = fine_tune_shared(
                new_model(study), pretrained.parameters, data, study.settings.fine_tuning, seed=study.seed
            )
            scorers[name] = model_scorer(model, data)
        return Trained(scorers, pretrained.rounds)


class FeCoSRWithoutRegression:
    """Let the market model speak without the regression of items on items."""

    name: ClassVar = "fecosr-no-regression"
    label: ClassVar = "- no item regression"
    description: ClassVar = "FeCoSR whose market models add no regression of items on items to their logits."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = FeCoSR.stage

    def train(self, study: Study) -> Trained:
        """Return one fine-tuned model per market."""
        plain = replace(study.settings.adapter, item_regression="none")
        without = replace(study, settings=study.settings.model_copy(update={"adapter": plain}))
        return fine_tuned(without, pretrain(study, self.stage, loss="s2ce"))
