"""The last thing a node does: fine-tune, measure beside the baselines, leave figures for its operator."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fecosr.config.parties import ReportSection
from fecosr.data.sequences import MarketSequences
from fecosr.federation.aggregation import Vector
from fecosr.recommender.metrics import RankingMetrics
from fecosr.storage.atomic_files import write_json
from fecosr.training.market import MarketLearner
from market_node.learning import Log, epochs_logged

REPORT_FILE: Final = "report.json"


def fine_tune_and_report(
    learner: MarketLearner,
    data: MarketSequences,
    shared: Vector,
    *,
    wanted: ReportSection,
    folder: Path,
    log: Log,
) -> Path:
    """Fine-tune the final shared model, measure it on the test targets, and write `report.json`.

    Args:
        learner: this market's.
        data: this market's sequences.
        shared: the final shared parameters, float32 [P].
        wanted: which baselines to measure beside it.
        folder: where the report goes.
        log: where progress goes.

    Raises:
        StorageError: the disk refused.
    """
    methods: dict[str, Mapping[str, float]] = {}
    if wanted.popularity:
        log.info("evaluation_started", method="popularity")
        methods["popularity"] = _figures(learner.evaluate_popularity())
    if wanted.local:
        log.info("evaluation_started", method="local")
        alone = learner.train_alone(epochs_logged(log, "local_progress"))
        methods["local"] = _figures(learner.evaluate(alone.model))
    log.info("fine_tuning_started")
    tuned = learner.fine_tune(shared, epochs_logged(log, "fine_tuning_progress"))
    log.info("evaluation_started", method="fecosr")
    methods["fecosr_before_fine_tuning"] = _figures(learner.evaluate_shared(shared))
    metrics = learner.evaluate(tuned.model)
    methods["fecosr"] = _figures(metrics)
    path = folder / REPORT_FILE
    write_json(
        path,
        {
            "market": data.market,
            "users": data.num_users,
            "items": data.num_items,
            "interactions": data.num_interactions,
            "evaluated_users": metrics.num_users,
            "semantics": learner.semantics_source,
            "methods": methods,
            "fine_tuning": {
                "best_epoch": tuned.best_epoch,
                "validation": _figures(tuned.validation),
            },
        },
    )
    log.info("report_written", path=str(path))
    return path


def _figures(metrics: RankingMetrics) -> dict[str, float]:
    return {"hr@10": metrics.hr_10, "ndcg@10": metrics.ndcg_10, "mrr": metrics.mrr}
