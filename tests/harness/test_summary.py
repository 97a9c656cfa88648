import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fecosr.harness.summary import KilledNode, MarketFigures, Summary, macro_mean, read_figures
from fecosr.harness.tables import figures_table

REPORT: dict[str, Any] = {
    "market": "fr",
    "users": 1200,
    "items": 600,
    "interactions": 9000,
    "semantics": "text",
    "methods": {
        "popularity": {"hr@10": 0.05, "ndcg@10": 0.02, "mrr": 0.01},
        "local": {"hr@10": 0.2, "ndcg@10": 0.1, "mrr": 0.08},
        "fecosr": {"hr@10": 0.25, "ndcg@10": 0.0875, "mrr": 0.09},
    },
    "fine_tuning": {"best_epoch": 3},
    "rounds_taken_part": [1, 2],
    "something_newer": True,
}


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    figures = read_figures(tmp_path / "report.json")
    assert figures is not None
    other = MarketFigures("de", 10, 20, 60, "text", {"fecosr": {"hr@10": 1.0}, "popularity": {"hr@10": 0.0}})
    killed = (KilledNode("fr", 2, "unmask", restarted=True),)
    return Summary((figures, other), 2, killed, {2: ("de",), 1: ("de", "fr")}, 12.3456)


def test_summary_json_is_what_programs_were_promised(summary: Summary) -> None:
    values = summary.as_json()

    assert json.loads(json.dumps(values)) == values
    assert values["markets"] == {
        "fr": {name: REPORT[name] for name in ("users", "items", "interactions", "semantics", "methods")},
        "de": {
            "users": 10,
            "items": 20,
            "interactions": 60,
            "semantics": "text",
            "methods": {"fecosr": {"hr@10": 1.0}, "popularity": {"hr@10": 0.0}},
        },
    }
    assert (values["rounds"], values["killed_nodes"], values["seconds"]) == (2, ["fr"], 12.35)
    assert values["kills"] == [{"name": "fr", "round": 2, "phase": "unmask", "restarted": True}]
    assert values["survivors"] == {"1": ["de", "fr"], "2": ["de"]}


def test_the_macro_mean_is_over_what_every_market_has(summary: Summary) -> None:
    mean = macro_mean([figures.methods for figures in summary.markets])

    assert mean == {"popularity": {"hr@10": 0.025}, "fecosr": {"hr@10": 0.625}}
    assert macro_mean([]) == {}


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"market": 3}'])
def test_a_report_that_cannot_be_read_is_no_report(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)

    assert read_figures(tmp_path / "report.json") is None


def test_the_table_shows_each_market_and_what_it_gained_in_80_columns(summary: Summary) -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None, _environ={})

    console.print(figures_table(summary))

    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]
    assert all(len(line) <= 80 for line in lines)
    words = [line.split() for line in lines]
    assert words[0] == ["HR@10", "NDCG@10"]
    assert words[1] == ["market", "users", "items"] + ["pop", "Local", "FeCoSR", "diff."] * 2
    assert words[3] == [
        *["fr", "1200", "600", ".0500", ".2000", ".2500", "+.0500"],
        *[".0200", ".1000", ".0875", "-.0125"],
    ]
    assert words[4] == ["de", "10", "20", ".0000", "-", "1.0000", "-", "-", "-", "-", "-"]
    assert words[-1][:3] == ["macro", "mean", ".0250"]
