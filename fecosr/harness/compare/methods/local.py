"""Local: what every market reaches alone, with the same encoder and the same budget of tuning."""

from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.study import Study
from fecosr.recommender.model import WITHOUT_REGRESSION
from fecosr.recommender.settings import AdapterSettings
from fecosr.training.baselines.local import train_alone
from fecosr.training.baselines.sasrec import train_sasrec
from fecosr.training.evaluation import Scorer, model_scorer


class LocalItemTable:
    """Train SASRec with a table of item vectors in each market."""

    name: ClassVar = "local-id"
    label: ClassVar = "Local (ids)"
    description: ClassVar = "SASRec with full softmax and a table of item vectors, in each market alone."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = False
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return one SASRec per market."""
        return _item_tables(study, WITHOUT_REGRESSION)


class LocalItemTableRegression:
    """Add the regression of items on items that FeCoSR's market model has to SASRec in each market."""

    name: ClassVar = "local-id-regression"
    label: ClassVar = "Local (ids) + regression"
    description: ClassVar = "SASRec in each market alone, and FeCoSR's item regression added to its logits."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = False
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return one SASRec with its regression per market."""
        return _item_tables(study, study.settings.adapter)


class LocalSemantic:
    """Train FeCoSR's market model from a random start in each market."""

    name: ClassVar = "local-semantic"
    label: ClassVar = "Local (semantic)"
    description: ClassVar = "FeCoSR's own market model, semantics and adapter and all, in each market alone."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = False
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return one market model per market."""
        settings, scorers = study.settings, dict[str, Scorer]()
        for number, (name, data) in enumerate(study.alone.items()):
            study.advance("training alone", number, len(study.markets))
            trained = train_alone(
                data, settings.encoder, settings.adapter, settings.local_baseline, seed=study.seed
            )
            scorers[name] = model_scorer(trained.model, data)
        return Trained(scorers)


def _item_tables(study: Study, adapter: AdapterSettings) -> Trained:
    settings, scorers = study.settings, dict[str, Scorer]()
    for number, (name, data) in enumerate(study.markets.items()):
        study.advance("training alone", number, len(study.markets))
        trained = train_sasrec(
            data, settings.encoder, settings.local_baseline, seed=study.seed, adapter=adapter
        )
        scorers[name] = model_scorer(trained.model, data)
    return Trained(scorers)
