"""FedRep: a shared representation, and heads that never leave their markets.

After the last round every market trains its head once more against the final representation.

Reference: Collins et al. 2021, "Exploiting Shared Representations for Personalized Federated Learning".
"""

from typing import ClassVar

import numpy as np

from fecosr.harness.compare.federation import Contribution
from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.pretraining import new_model, run_rounds
from fecosr.harness.compare.study import Study
from fecosr.recommender.model import MarketModel
from fecosr.training.baselines.fedrep import train_head_then_representation
from fecosr.training.epochs import train_until_best
from fecosr.training.evaluation import Scorer, evaluate, model_scorer
from fecosr.training.optimisers import adamw
from fecosr.training.parameters import FloatVector, load_into
from fecosr.training.regression import fit_regression
from fecosr.training.seeds import derive_seed, seeded


class FedRep:
    """Average the representations, keep the heads."""

    name: ClassVar = "fedrep"
    label: ClassVar = "FedRep style"
    description: ClassVar = (
        "Only the representation is averaged; each market trains its adapter and item table first, alone."
    )
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return the final representation with each market's own head."""
        models = market_models(study)

        def work(name: str, shared: FloatVector, number: int) -> Contribution:
            return train_head_then_representation(
                models[name],
                study.markets[name],
                shared,
                study.settings.local_training,
                head_epochs=study.settings.rivals.fedrep_head_epochs,
                seed=study.seed,
                round_number=number,
            )

        def measure(name: str, shared: FloatVector) -> float:
            load_into(models[name].shared, shared)
            return evaluate(models[name], study.markets[name], "validation").ndcg_10

        pretrained = run_rounds(study, work, measure)
        scorers = {name: _finish(study, name, models[name], pretrained.parameters) for name in study.markets}
        return Trained(scorers, pretrained.rounds)


def market_models(study: Study) -> dict[str, MarketModel]:
    """Return an untrained market model for every market, all with the same shared part."""
    models = {}
    for name, data in study.markets.items():
        with seeded(study.seed, "market model", name):
            model = MarketModel(new_model(study), data.num_items, study.settings.adapter)
        models[name] = model.to(data.device)
    return models


def _finish(study: Study, name: str, model: MarketModel, shared: FloatVector) -> Scorer:
    """Train the head against the final representation while that helps on validation users."""
    load_into(model.shared, shared)
    model.shared.requires_grad_(requires_grad=False)
    settings, names = study.settings.fine_tuning, ("fedrep", name)
    head = model.adapter.parameters()
    with seeded(study.seed, *names):
        train_until_best(
            model,
            study.markets[name],
            adamw(head, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay),
            settings=settings,
            generator=np.random.default_rng(derive_seed(study.seed, *names)),
            progress=lambda _: None,
        )
    fit_regression(model, study.markets[name])
    return model_scorer(model, study.markets[name])
