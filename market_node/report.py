"""The last thing a node does: fine-tune, keep its own model, leave figures for its operator."""

from collections.abc import Mapping
from pathlib import Path

from fecosr.config.parties import ReportSection
from fecosr.data.sequences import MarketSequences
from fecosr.data.settings import DataSettings
from fecosr.federation.aggregation import Vector
from fecosr.serving.facts import MODEL_FOLDER, OriginFacts
from fecosr.serving.market_model import save_market_model
from fecosr.serving.trained import figures, served_model
from fecosr.storage.atomic_files import write_json
from fecosr.training.market import MarketLearner
from market_node.learning import epochs_logged
from market_node.readiness import Log
from market_node.state import REPORT_FILE


def fine_tune_and_report(
    learner: MarketLearner,
    data: MarketSequences,
    shared: Vector,
    *,
    wanted: ReportSection,
    origin: OriginFacts,
    settings: DataSettings,
    folder: Path,
    log: Log,
) -> Path:
    """Fine-tune the final shared model, measure and store the result, and write `report.json`.

    The report is written last: where it stands, the market model stands beside it in `model/`.

    Args:
        learner: this market's.
        data: this market's sequences.
        shared: the final shared parameters, float32 [P].
        wanted: which baselines to measure beside it.
        origin: the run that made the shared model.
        settings: where the market's data stand.
        folder: where model and report go; neither ever leaves the market.
        log: where progress goes.

    Raises:
        StorageError: the disk refused.
    """
    methods: dict[str, Mapping[str, float]] = {}
    if wanted.popularity:
        log.info("evaluation_started", method="popularity")
        methods["popularity"] = figures(learner.evaluate_popularity())
    if wanted.local:
        log.info("evaluation_started", method="local")
        alone = learner.train_alone(epochs_logged(log, "local_progress"))
        methods["local"] = figures(learner.evaluate(alone.model))
    log.info("fine_tuning_started")
    tuned = learner.fine_tune(shared, epochs_logged(log, "fine_tuning_progress"))
    log.info("evaluation_started", method="fecosr")
    methods["fecosr_before_fine_tuning"] = figures(learner.evaluate_shared(shared))
    metrics = learner.evaluate(tuned.model)
    methods["fecosr"] = figures(metrics)
    served = served_model(learner, data, tuned, metrics, origin=origin, settings=settings)
    stored = save_market_model(folder / MODEL_FOLDER, served)
    log.info("market_model_stored", path=str(stored.parent))
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
                "validation": figures(tuned.validation),
            },
        },
    )
    log.info("report_written", path=str(path))
    return path
