from pathlib import Path

from fecosr.audit.verification import audit_run
from fecosr.harness.bench_audit import audit_figure, filter_figure
from fecosr.harness.long_run import MARKETS, LongRun


def test_a_generated_run_is_one_that_an_audit_has_nothing_to_say_against(tmp_path: Path) -> None:
    LongRun(3).write(tmp_path / "run")
    report = audit_run(tmp_path / "run")
    assert report.findings == ()
    assert report.facts is not None
    assert (report.facts.rounds, set(report.facts.vouched.values())) == (3, {17})
    assert report.facts.costs.keys() == set(MARKETS)


def test_a_generated_run_is_judged_and_not_waved_through(tmp_path: Path) -> None:
    LongRun(3).write(tmp_path / "run")
    path = tmp_path / "run" / "coordinator" / "ledger.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"round":2', b'"round":3', 1))
    assert not audit_run(tmp_path / "run").verified


def test_figures_are_measured_beside_others() -> None:
    for figure in (audit_figure(3), filter_figure(6)):
        assert figure.ours > 0
        assert figure.reference > 0
