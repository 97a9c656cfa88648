"""One-to-one transfer: the largest market trains alone, every other market fine-tunes a copy of its model.

The source ends with what it trained by itself: it gives and gets nothing, which is why a federation is asked
to do better by it as well.
"""

from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.pretraining import new_model
from fecosr.harness.compare.study import Study
from fecosr.training.baselines.local import train_alone
from fecosr.training.evaluation import model_scorer
from fecosr.training.fine_tuning import fine_tune
from fecosr.training.parameters import flatten


class OneToOneTransfer:
    """Pretrain in the largest market, fine-tune in each of the others."""

    name: ClassVar = "transfer"
    label: ClassVar = "Transfer (one to one)"
    description: ClassVar = (
        "The largest market trains alone and hands its encoder to each other market, which fine-tunes it: "
        "one market's own model leaves it."
    )
    breaks_isolation: ClassVar = True
    uses_other_markets: ClassVar = True
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return the source's own model, and one fine-tuned from it for each target."""
        settings, source = study.settings, study.largest
        study.advance("training the source", 0, 1)
        pretrained = train_alone(
            study.markets[source],
            settings.encoder,
            settings.adapter,
            settings.local_baseline,
            seed=study.seed,
        )
        scorers = {source: model_scorer(pretrained.model, study.markets[source])}
        handed_over = flatten(pretrained.model.shared)
        targets = [name for name in study.markets if name != source]
        for number, name in enumerate(targets):
            study.advance("fine-tuning", number, len(targets))
            tuned = fine_tune(
                new_model(study),
                handed_over,
                study.markets[name],
                settings.adapter,
                settings.fine_tuning,
                seed=study.seed,
            )
            scorers[name] = model_scorer(tuned.model, study.markets[name])
        return Trained(scorers)
