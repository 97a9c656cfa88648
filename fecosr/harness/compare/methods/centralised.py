"""Centralised: what could be reached if all interactions were allowed to lie in one place. A reference only.

One market model, table of item ids and all, is trained with cross-entropy on the pooled sequences of all
markets over the union of their catalogues; then every market may fine-tune it on its own.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.pooling import UnionCatalogue, pooled_market, scorer_in_market, union_catalogue
from fecosr.harness.compare.study import Study
from fecosr.recommender.model import MarketModel, SharedModel
from fecosr.training.baselines.local import train_alone
from fecosr.training.epochs import train_until_best
from fecosr.training.evaluation import Scorer, model_scorer
from fecosr.training.optimisers import adamw
from fecosr.training.regression import fit_regression
from fecosr.training.seeds import derive_seed, seeded


def train_pooled(study: Study, union: UnionCatalogue) -> MarketModel:
    """Return the market model of the pool of all markets; markets regress items on items by themselves."""
    settings = study.settings
    pool = pooled_market(study, union)
    return train_alone(
        pool,
        settings.encoder,
        replace(settings.adapter, item_regression="none"),
        settings.local_baseline,
        seed=study.seed,
        progress=lambda report: study.advance("pooled training", report.epoch, report.max_epochs),
    ).model


class Centralised:
    """Use the pooled model as it is."""

    name: ClassVar = "centralised"
    label: ClassVar = "Centralised"
    description: ClassVar = "One model on the pooled interactions of all markets: breaks isolation."
    breaks_isolation: ClassVar = True
    uses_other_markets: ClassVar = True
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return the pooled model, restricted to each market's own items."""
        union = union_catalogue(study)
        pooled = model_scorer(train_pooled(study, union), pooled_market(study, union))
        return Trained({name: scorer_in_market(pooled, union.rows[name]) for name in study.markets})


class CentralisedFineTuned:
    """Fine-tune the pooled model in each market: the upper reference."""

    name: ClassVar = "centralised-ft"
    label: ClassVar = "Centralised + ft"
    description: ClassVar = (
        "One model on the pooled interactions, then fine-tuned per market: breaks isolation, upper reference."
    )
    breaks_isolation: ClassVar = True
    uses_other_markets: ClassVar = True
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return one model per market that starts as the pooled one."""
        union = union_catalogue(study)
        pooled = train_pooled(study, union)
        scorers = dict[str, Scorer]()
        for number, name in enumerate(study.markets):
            study.advance("fine-tuning", number, len(study.markets))
            scorers[name] = _fine_tuned(study, pooled, union, name)
        return Trained(scorers)


def _fine_tuned(study: Study, pooled: MarketModel, union: UnionCatalogue, name: str) -> Scorer:
    data, settings = study.markets[name], study.settings.fine_tuning
    names = ("fine-tuning the pooled model", name)
    with seeded(study.seed, *names):
        model = in_market(study, pooled, union, name)
        own = [value for key, value in model.named_parameters() if not key.startswith("shared.")]
        groups = [
            {"params": own, "lr": settings.learning_rate},
            {"params": list(model.shared.parameters()), "lr": settings.encoder_learning_rate},
        ]
        train_until_best(
            model,
            data,
            adamw(groups, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay),
            settings=settings,
            generator=np.random.default_rng(derive_seed(study.seed, *names)),
            progress=lambda _: None,
        )
    fit_regression(model, data)
    return model_scorer(model, data)


def in_market(study: Study, pooled: MarketModel, union: UnionCatalogue, name: str) -> MarketModel:
    """Return a copy of the pooled model whose table holds the items of one market only."""
    shared = SharedModel(study.settings.encoder, union.semantics.shape[1])
    model = MarketModel(shared, len(union.rows[name]), study.settings.adapter)
    state = dict(pooled.state_dict())
    state["adapter.local_items"] = state["adapter.local_items"].cpu()[torch.from_numpy(union.rows[name])]
    model.load_state_dict(state)
    return model.to(study.device)
