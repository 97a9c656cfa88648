"""The two stages that most federated methods are made of: shared pretraining, then each market by itself."""

from dataclasses import replace
from typing import Any

from fecosr.federation.ending import Schedule
from fecosr.harness.compare.federation import Contribution, Measure, Pretrained, Work, federate
from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.study import Study
from fecosr.recommender.model import SharedModel
from fecosr.training.evaluation import Scorer, evaluate, model_scorer
from fecosr.training.fine_tuning import fine_tune
from fecosr.training.local import train_locally
from fecosr.training.parameters import FloatVector, initial_shared_vector, load_into, new_shared_model


def pretrain(study: Study, stage: str, **changes: Any) -> Pretrained:
    """Return the shared model after all rounds; the markets train as the settings say, but for `changes`.

    Args:
        study: its markets all take part in every round.
        stage: names this pretraining among the stages of the study.
        changes: fields of `LocalTrainingSettings`, such as `loss="ce"`.
    """
    return study.stages.pretrained(stage, lambda: run_rounds(study, round_of(study, **changes)))


def round_of(study: Study, **changes: Any) -> Work:
    """Return what a market does in a round, as the settings say, but for `changes`."""
    local_training = replace(study.settings.local_training, **changes)
    model = new_model(study)

    def work(name: str, shared: FloatVector, number: int) -> Contribution:
        return train_locally(
            model, study.markets[name], shared, local_training, seed=study.seed, round_number=number
        )

    return work


def run_rounds(study: Study, work: Work, measure: Measure | None = None) -> Pretrained:
    """Return what the study's federation ends with if its markets do this work.

    Args:
        study: its settings say how many rounds there are, and whether the run may end early.
        work: of a market in a round.
        measure: what the run's early end goes by; without it, the shared model as it is.
    """
    settings = study.settings
    rule = settings.early_stopping.rule()
    return federate(
        study.markets,
        initial_shared_vector(settings.encoder, settings.semantics, study.seed),
        work,
        schedule=Schedule(settings.rounds, rule),
        aggregation=settings.aggregation,
        measure=(measure or _shared_metric(study)) if rule else None,
        round_done=lambda done, total: study.advance("rounds", done, total),
    )


def _shared_metric(study: Study) -> Measure:
    model = new_model(study)

    def measure(name: str, shared: FloatVector) -> float:
        load_into(model, shared)
        return evaluate(model, study.markets[name], "validation").ndcg_10

    return measure


def fine_tuned(study: Study, pretrained: Pretrained) -> Trained:
    """Return the market models that fine-tuning makes of the shared model."""
    settings, scorers = study.settings, dict[str, Scorer]()
    for number, (name, data) in enumerate(study.markets.items()):
        study.advance("fine-tuning", number, len(study.markets))
        tuned = fine_tune(
            new_model(study),
            pretrained.parameters,
            data,
            settings.adapter,
            settings.fine_tuning,
            seed=study.seed,
        )
        scorers[name] = model_scorer(tuned.model, data)
    return Trained(scorers, pretrained.rounds)


def as_shared(study: Study, pretrained: Pretrained) -> Trained:
    """Return the shared model as it is, for every market."""
    model = new_model(study)
    load_into(model, pretrained.parameters)
    scorers = {name: model_scorer(model, data) for name, data in study.markets.items()}
    return Trained(scorers, pretrained.rounds)


def new_model(study: Study) -> SharedModel:
    """Return a shared model of the study's shape, where its markets are."""
    return new_shared_model(study.settings.encoder, study.settings.semantics, study.seed).to(study.device)
