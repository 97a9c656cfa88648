"""What a terminal shows of made-up results."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from fecosr.harness.compare.cells import COLUMNS, Cell, CellResult
from fecosr.harness.compare.jobs import Request
from fecosr.harness.compare.outputs import Comparison
from fecosr.harness.compare.settings import ComparisonSettings
from fecosr.harness.compare.summary import summarise
from fecosr.harness.compare.terminal import findings, headline_table, legend, short, signed

USERS = {"uk": 600, "iberia-italy": 90, "benelux-ch": 80, "nordics": 70, "de": 550, "fr": 520, "jp": 510}
SHARES = {
    "popularity": 0.1,
    "local-id": 0.3,
    "local-semantic": 0.3,
    "fecosr-permuted": 0.1,
    "centralised": 0.6,
}


def result(share: float) -> CellResult:
    ranks = {
        market: {
            column: np.where(np.arange(users) < share * users, 1, 500).astype(np.int32) for column in COLUMNS
        }
        for market, users in USERS.items()
    }
    return CellResult(ranks, (), 1.0)


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    results = {Cell(name, "raw", 1): result(share) for name, share in SHARES.items()}
    request = Request(
        data=None,
        out=tmp_path,
        methods=tuple(SHARES),
        variants=("raw",),
        seeds=(1,),
        settings=ComparisonSettings(),
    )
    return Comparison(request, "fecosr compare", results, summarise(results), {}, {})


def shown(comparison: Comparison) -> str:
    text = io.StringIO()
    Console(file=text, width=80, highlight=False).print(headline_table(comparison.summaries[0], comparison))
    return text.getvalue()


def test_eighty_columns_hold_seven_markets_without_losing_a_digit(comparison: Comparison) -> None:
    table = shown(comparison)
    assert "\N{HORIZONTAL ELLIPSIS}" not in table
    assert max(len(line.rstrip()) for line in table.splitlines()) <= 80
    row = next(line for line in table.splitlines() if line.startswith("popularity"))
    assert row.split()[1:] == [".100-"] * 8
    row = next(line for line in table.splitlines() if line.startswith("Centralised !"))
    assert row.split()[2:] == [".600+"] * 8
    assert "italy*" in table
    assert "uk*" not in table


def test_sentences_tell_losing_from_losing_by_taking_part(comparison: Comparison) -> None:
    lines = dict(line.split(": ", 1) for line in findings(comparison.summaries[0], comparison))
    assert set(lines) == {"popularity", "FeCoSR permuted", "Centralised"}
    assert "significantly below Local in uk, " in lines["popularity"]
    assert "negative transfer" not in lines["popularity"]
    assert "negative transfer in uk, " in lines["FeCoSR permuted"]
    assert lines["FeCoSR permuted"].endswith("(source degradation in uk)")
    assert lines["Centralised"].endswith("no market significantly below Local")
    assert lines["Centralised"].startswith("+.3")


def test_the_legend_explains_every_mark(comparison: Comparison) -> None:
    text = "\n".join(legend(comparison))
    assert "benelux-ch, iberia-italy, nordics" in text
    assert "! breaks isolation, for comparison only: Centralised" in text
    assert "Local (ids) in uk, " in text


@pytest.mark.parametrize(
    ("value", "unsigned", "with_sign"),
    [
        (0.1234, ".123", "+.1234"),
        (1.0, "1.000", "+1.0000"),
        (-0.05, "-.050", "-.0500"),
        (0.0, ".000", "+.0000"),
    ],
)
def test_figures_are_short(value: float, unsigned: str, with_sign: str) -> None:
    assert (short(value), signed(value)) == (unsigned, with_sign)
