import json
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from fecosr.config.parties import ReportSection
from fecosr.data.sequences import MarketSequences, load_market
from fecosr.data.settings import DataSettings, SyntheticSettings
from fecosr.errors import StorageError
from fecosr.recommender.settings import EncoderSettings
from fecosr.serving.evaluation import evaluate_model
from fecosr.serving.facts import OriginFacts
from fecosr.serving.market_model import load_market_model
from fecosr.serving.trained import figures
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import initial_shared_vector
from fecosr.training.settings import FineTuningSettings, LearningSettings, LocalBaselineSettings
from market_node.report import fine_tune_and_report

SETTINGS = LearningSettings(
    encoder=EncoderSettings(
        dimension=8, num_blocks=1, num_heads=1, feed_forward_dimension=8, projector_dimension=8
    ),
    fine_tuning=FineTuningSettings(max_epochs=1, patience=1),
    local_baseline=LocalBaselineSettings(max_epochs=1, patience=1),
)

DATA = DataSettings(
    kind="synthetic",
    market="isle",
    min_core=1,
    synthetic=SyntheticSettings(num_users=40, num_items=64, num_categories=4, num_topics=2),
)
ORIGIN = OriginFacts(
    run="spring",
    planned_rounds=3,
    plan_hash="ab" * 32,
    shared_model_hash="cd" * 32,
    privacy={"mode": "none"},
)


@pytest.fixture(scope="module")
def market() -> MarketSequences:
    return load_market(DATA)


def report_of(market: MarketSequences, folder: Path, wanted: ReportSection) -> dict[str, object]:
    learner = MarketLearner(market, SETTINGS, seed=1)
    shared = initial_shared_vector(SETTINGS.encoder, SETTINGS.semantics, seed=1)
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    path = fine_tune_and_report(
        learner, market, shared, wanted=wanted, origin=ORIGIN, settings=DATA, folder=folder, log=log
    )
    content = json.loads(path.read_text())
    assert isinstance(content, dict)
    return content


def test_the_report_holds_every_method_that_was_wanted(market: MarketSequences, tmp_path: Path) -> None:
    report = report_of(market, tmp_path, ReportSection())
    methods = report["methods"]
    assert isinstance(methods, dict)
    assert methods.keys() == {"popularity", "local", "fecosr", "fecosr_before_fine_tuning"}
    for metrics in methods.values():
        assert metrics.keys() == {"hr@10", "ndcg@10", "mrr"}
        assert 0 <= metrics["ndcg@10"] <= metrics["hr@10"] <= 1
    assert (report["market"], report["users"]) == ("isle", 40)
    assert report["semantics"] == "titles"


def test_baselines_nobody_wants_are_not_trained(market: MarketSequences, tmp_path: Path) -> None:
    with capture_logs() as lines:
        report = report_of(market, tmp_path, ReportSection(popularity=False, local=False))
    methods = report["methods"]
    assert isinstance(methods, dict)
    assert methods.keys() == {"fecosr", "fecosr_before_fine_tuning"}
    assert "local_progress" not in {line["event"] for line in lines}


def test_no_log_line_names_a_user_or_an_item(market: MarketSequences, tmp_path: Path) -> None:
    with capture_logs() as lines:
        report_of(market, tmp_path, ReportSection())
    text = json.dumps(lines)
    assert not any(user in text for user in market.user_ids)
    assert not any(item in text for item in market.catalogue.item_ids)


def test_the_model_that_is_kept_is_the_one_that_was_measured(market: MarketSequences, tmp_path: Path) -> None:
    report = report_of(market, tmp_path, ReportSection(popularity=False, local=False))
    served = load_market_model(tmp_path / "model")
    assert served.facts.origin == ORIGIN
    assert served.facts.data.settings == DATA
    again = evaluate_model(served, market, "test", history_filtered=True, advance=lambda _: None)
    methods, fine_tuning = report["methods"], report["fine_tuning"]
    assert isinstance(methods, dict)
    assert isinstance(fine_tuning, dict)
    assert figures(again.overall) == methods["fecosr"] == served.facts.metrics.test
    assert fine_tuning["validation"] == served.facts.metrics.validation


def test_without_a_stored_model_there_is_no_report(
    market: MarketSequences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, served: object) -> Path:
        raise StorageError(f"{folder}: cannot be written: No space left on device")

    monkeypatch.setattr("market_node.report.save_market_model", full)
    with pytest.raises(StorageError):
        report_of(market, tmp_path, ReportSection(popularity=False, local=False))
    assert not (tmp_path / "report.json").exists()
