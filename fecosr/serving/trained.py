"""From a learner that has fine-tuned to a model that can be served."""

import copy
import platform
from importlib.metadata import version
from typing import Final

import numpy as np
import torch

from fecosr import __version__
from fecosr.data.sequences import MarketSequences
from fecosr.data.settings import DataSettings
from fecosr.federation.aggregation import parameters_hash
from fecosr.recommender.metrics import RankingMetrics
from fecosr.recommender.semantics import SOURCE_TITLES
from fecosr.serving.catalogue_file import ServedCatalogue
from fecosr.serving.facts import (
    DataFacts,
    Figures,
    MetricsFacts,
    ModelFacts,
    OriginFacts,
    SemanticsFacts,
    SoftwareFacts,
    TrainingFacts,
)
from fecosr.serving.market_data import fingerprint, lasting_settings
from fecosr.serving.market_model import ServedModel
from fecosr.training.fine_tuning import FineTuned
from fecosr.training.market import MarketLearner

_LIBRARIES: Final = ("torch", "numpy", "polars", "safetensors")


def served_model(
    learner: MarketLearner,
    data: MarketSequences,
    tuned: FineTuned,
    test: RankingMetrics,
    *,
    origin: OriginFacts,
    settings: DataSettings,
) -> ServedModel:
    """Return a market's fine-tuned model with everything that is needed to use it later and elsewhere.

    Args:
        learner: that fine-tuned it.
        data: the market's sequences.
        tuned: the model, and how it was chosen.
        test: its metrics on the test targets.
        origin: the run it started from.
        settings: where the market's data stand.
    """
    prepared, semantics = learner.data, learner.data.semantics.cpu()
    facts = ModelFacts(
        market=data.market,
        origin=origin,
        semantics=SemanticsFacts(
            kind=learner.settings.semantics.kind,
            source=learner.semantics_source,
            has_text=learner.semantics_source == SOURCE_TITLES,
            vectors_hash=parameters_hash(semantics.numpy()).hex(),
            embedding=learner.settings.semantics.embedding,
            embedding_hash=learner.settings.semantics.embedding_hash or None,
            sketch_hash=None if learner.sketches is None else parameters_hash(learner.sketches).hex(),
        ),
        data=DataFacts(
            users=data.num_users,
            items=data.num_items,
            interactions=data.num_interactions,
            fingerprint=fingerprint(data),
            settings=lasting_settings(settings),
        ),
        training=TrainingFacts(seed=learner.seed, best_epoch=tuned.best_epoch, learning=learner.settings),
        metrics=MetricsFacts(users=test.num_users, validation=figures(tuned.validation), test=figures(test)),
        software=SoftwareFacts(
            versions=_versions(), device=prepared.device.type, num_threads=torch.get_num_threads()
        ),
    )
    in_training = np.zeros(data.num_items, dtype=np.bool_)
    for sequence in prepared.split.train:
        in_training[sequence] = True
    catalogue = ServedCatalogue(data.catalogue, in_training)
    return ServedModel(facts, catalogue, semantics, copy.deepcopy(tuned.model).cpu().eval())


def figures(metrics: RankingMetrics) -> Figures:
    """Return metrics by the names they have in every report."""
    return {"hr@10": metrics.hr_10, "ndcg@10": metrics.ndcg_10, "mrr": metrics.mrr}


def _versions() -> dict[str, str]:
    libraries = {name: version(name) for name in _LIBRARIES}
    return {"fecosr": __version__, "python": platform.python_version(), **libraries}
