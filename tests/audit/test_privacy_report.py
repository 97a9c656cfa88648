"""The report for programs fits its schema, the page stands alone, and both say what the audit found."""

import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from typer.testing import CliRunner

from fecosr.audit.burn_down import MOST_POINTS
from fecosr.audit.page import MOST_ROUNDS, page, plot
from fecosr.audit.privacy_report import privacy_report, schema_text
from fecosr.audit.report import AuditReport
from fecosr.audit.statements import rounded_up
from fecosr.audit.verification import audit_run
from fecosr.cli.app import app
from fecosr.harness.long_run import LongRun
from tests.reference.audited_run import ledger_of


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> AuditReport:
    folder = tmp_path_factory.mktemp("private") / "run"
    LongRun(MOST_ROUNDS + 3).write(folder)
    return audit_run(folder)


@pytest.fixture
def bare(run_dir: Path) -> AuditReport:
    return audit_run(run_dir)


@pytest.fixture
def broken(run_dir: Path) -> AuditReport:
    ledger = ledger_of(run_dir)
    ledger.write_bytes(ledger.read_bytes().replace(b'"attempt":1', b'"attempt":3', 1))
    return audit_run(run_dir)


@pytest.fixture
def unreadable(run_dir: Path) -> AuditReport:
    ledger_of(run_dir).write_bytes(b"no ledger <script>alert(1)</script>\n")
    return audit_run(run_dir)


def validated(report: AuditReport) -> dict[str, Any]:
    """Return the report as a program reads it, having checked it against the schema that is shipped."""
    schema = json.loads(schema_text())
    Draft202012Validator.check_schema(schema)
    said: dict[str, Any] = json.loads(json.dumps(privacy_report(report), allow_nan=False))
    Draft202012Validator(schema).validate(said)
    return said


def test_a_private_run_is_stated_with_its_spending(private: AuditReport) -> None:
    said = validated(private)
    assert private.facts is not None
    spent = private.facts.costs
    epsilon = max(cost.epsilon for cost in spent.values())
    assert said["statement"].startswith("Every customer of every market is protected with epsilon")
    assert f"epsilon {rounded_up(epsilon)} at delta" in said["statement"]
    for each in said["spending"]:
        points = each["points"]
        assert len(points) <= MOST_POINTS
        assert points[-1]["epsilon"] == pytest.approx(epsilon)
        assert points[-1]["sums"] == private.facts.rounds
        figures = [point["epsilon"] for point in points]
        assert figures == sorted(figures)
        assert max(figures) == figures[-1]
    assert [release["round"] for release in said["releases"]] == list(range(1, private.facts.rounds + 1))
    assert {each["kept"] for each in said["signed"]} == {private.facts.num_records}


def test_a_run_without_privacy_says_so_plainly(bare: AuditReport) -> None:
    said = validated(bare)
    assert said["verified"] is True
    assert said["statement"].startswith("No customer is protected by differential privacy")
    assert said["spending"] == []
    assert {each["epsilon"] for each in said["privacy"]} == {None}
    assert "There is no budget to spend" in page(bare)


def test_what_is_not_verified_states_nothing(broken: AuditReport, unreadable: AuditReport) -> None:
    for report in (broken, unreadable):
        said = validated(report)
        assert said["statement"] == "Nothing is established about this run, because it is not verified."
        assert said["protected"] == []
        assert said["findings"]


def test_the_schema_refuses_what_is_no_report(bare: AuditReport) -> None:
    said, schema = validated(bare), Draft202012Validator(json.loads(schema_text()))
    for name, value in (
        ("verified", "yes"),
        ("rounds", -1),
        ("privacy", [{}]),
        ("extra", 1),
        ("statement", ""),
    ):
        with pytest.raises(ValidationError):
            schema.validate({**said, name: value})
    with pytest.raises(ValidationError):
        schema.validate({name: value for name, value in said.items() if name != "software"})


class Links(HTMLParser):
    """Collect whatever a browser would load, and every tag that is left open."""

    VOID = frozenset({"meta", "line", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "srcset", "data"}]
        if tag in {"script", "iframe", "link", "img", "object"}:
            self.loaded.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_well_formed(
    private: AuditReport, bare: AuditReport, tmp_path: Path
) -> None:
    unusable = audit_run(tmp_path)
    for report in (private, bare, unusable):
        text = page(report)
        links = Links()
        links.feed(text)
        assert (links.loaded, links.open) == ([], [])
        assert "http://" not in text
        assert "https://" not in text
        assert "prefers-color-scheme: dark" in text
        assert "url(" not in text


def test_the_page_shows_what_the_report_says(private: AuditReport) -> None:
    text = page(private)
    said = validated(private)
    assert said["statement"] in text
    assert '<path class="spent"' in text
    assert "The questions of NIST SP 800-226" in text
    assert f"The last {MOST_ROUNDS} of {MOST_ROUNDS + 3}" in text
    assert f'<td class="number">{MOST_ROUNDS + 3}</td>' in text
    for market in ("east", "north", "west"):
        assert f"<td>{market}</td>" in text


def test_findings_are_told_in_words_and_nothing_in_them_is_markup(
    broken: AuditReport, unreadable: AuditReport
) -> None:
    text = page(broken)
    assert "Not verified" in text
    assert "What keeps this run from being verified" in text
    assert "record&nbsp;1" in text
    assert "The questions of NIST" not in text, "an unverified run answers nothing"
    assert "<script" not in page(unreadable)


def test_a_curve_beyond_the_budget_stays_within_the_drawing() -> None:
    points = [{"sums": 1, "record": 5, "epsilon": 3.0}, {"sums": 4, "record": 20, "epsilon": 9.0}]
    drawn = plot(points, budget=2.0)
    heights = [float(part.split()[1]) for part in drawn.path.replace("M", "L").split("L")[1:]]
    assert all(0 < height <= 260 for height in heights)
    assert heights[-1] < drawn.budget < heights[0], "the end is above the line, because it is beyond it"


def test_the_command_writes_both_and_leaves_the_run_folder_alone(run_dir: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    html, report = tmp_path / "report.html", tmp_path / "report.json"
    command = ["audit", str(run_dir), "--html", str(html), "--privacy-report", str(report)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert html.read_text(encoding="utf-8").startswith("<!doctype html>")
    Draft202012Validator(json.loads(schema_text())).validate(json.loads(report.read_text(encoding="utf-8")))
    assert {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 1.001, 1.9949, 7.999])
def test_a_stated_epsilon_is_never_rounded_down(epsilon: float) -> None:
    assert float(rounded_up(epsilon)) >= epsilon
    assert math.isclose(float(rounded_up(epsilon)), epsilon, abs_tol=0.0101)
