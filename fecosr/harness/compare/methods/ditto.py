"""Ditto: FedAvg, and beside it in every market a model of its own that stays near the shared one.

Reference: Li et al. 2021, "Ditto: Fair and Robust Federated Learning Through Personalization".
"""

import copy
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from fecosr.harness.compare.federation import Contribution
from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.methods.fedrep import market_models
from fecosr.harness.compare.pretraining import round_of, run_rounds
from fecosr.harness.compare.study import Study
from fecosr.recommender.model import MarketModel
from fecosr.training.baselines.ditto import train_near_shared
from fecosr.training.evaluation import Scorer, evaluate, model_scorer
from fecosr.training.parameters import FloatVector
from fecosr.training.prepared import PreparedMarket
from fecosr.training.regression import fit_regression


class Ditto:
    """Use each market's own model, as it was when it did best on the market's validation users."""

    name: ClassVar = "ditto"
    label: ClassVar = "Ditto style"
    description: ClassVar = (
        "FedAvg-CE, and in every market its own model that is pulled towards the shared one."
    )
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return one personal model per market."""
        own = {name: Personal(model) for name, model in market_models(study).items()}
        share = round_of(study, loss="ce")

        def work(name: str, shared: FloatVector, number: int) -> Contribution:
            train_near_shared(
                own[name].model,
                study.markets[name],
                shared,
                study.settings.local_training,
                strength=study.settings.rivals.ditto_strength,
                seed=study.seed,
                round_number=number,
            )
            own[name].remember_if_best(study.markets[name])
            return share(name, shared, number)

        rounds = run_rounds(study, work).rounds
        scorers = dict[str, Scorer]()
        for name, data in study.markets.items():
            fit_regression(model := own[name].best(), data)
            scorers[name] = model_scorer(model, data)
        return Trained(scorers, rounds)


@dataclass(slots=True)
class Personal:
    """Hold a market's own model, and its parameters when it was best.

    Attributes:
        model: as it is now.
        kept: its parameters after the best round.
        best_ndcg: its validation NDCG@10 then.
    """

    model: MarketModel
    kept: dict[str, Tensor] = field(default_factory=dict, repr=False)
    best_ndcg: float = -1.0

    def remember_if_best(self, data: PreparedMarket) -> None:
        """Keep the parameters if they are the best so far on validation users."""
        ndcg = evaluate(self.model, data, "validation").ndcg_10
        if ndcg > self.best_ndcg:
            self.best_ndcg, self.kept = ndcg, copy.deepcopy(self.model.state_dict())

    def best(self) -> MarketModel:
        """Return the model as it was when it was best."""
        self.model.load_state_dict(self.kept)
        return self.model
