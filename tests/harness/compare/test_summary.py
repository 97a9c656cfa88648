"""Summaries of made-up ranks, from which one can tell by hand what must come out."""

import numpy as np
import pytest

from fecosr.harness.compare.cells import FILTERED, UNFILTERED, VALIDATION, Cell, CellResult
from fecosr.harness.compare.summary import VariantSummary, summarise

USERS = {"big": 600, "small": 100}
HIT, MISS = 1, 1000


def ranks(share: float, users: int, shift: int = 0) -> np.ndarray:
    """Return ranks of which a share are hits at the top, the hits beginning at one user."""
    hits = round(share * users)
    return np.roll(np.where(np.arange(users) < hits, HIT, MISS), shift).astype(np.int32)


def result(test: dict[str, float], validation: dict[str, float], shift: int = 0) -> CellResult:
    return CellResult(
        {
            market: {
                FILTERED: ranks(test[market], users, shift),
                UNFILTERED: ranks(test[market] / 2, users, shift),
                VALIDATION: ranks(validation[market], users),
            }
            for market, users in USERS.items()
        },
        (),
        1.0,
    )


@pytest.fixture
def summaries() -> tuple[VariantSummary, ...]:
    """Two seeds each; validation prefers ids in `big` and semantics in `small`, test users the other way."""
    results = {}
    for seed in (1, 2):
        results[Cell("local-id", "raw", seed)] = result(
            {"big": 0.50, "small": 0.60}, {"big": 0.60, "small": 0.10}
        )
        results[Cell("local-semantic", "raw", seed)] = result(
            {"big": 0.60, "small": 0.50}, {"big": 0.50, "small": 0.20}
        )
        results[Cell("fecosr", "raw", seed)] = result(
            {"big": 0.30 + 0.02 * seed, "small": 0.90}, {"big": 0.5, "small": 0.5}
        )
        results[Cell("fedavg-ce-ft", "raw", seed)] = result(
            {"big": 0.50, "small": 0.50}, {"big": 0.5, "small": 0.5}
        )
    return summarise(results)


def test_there_is_one_summary_per_variant_and_filter(summaries: tuple[VariantSummary, ...]) -> None:
    assert [(summary.variant, summary.filter) for summary in summaries] == [("raw", "on"), ("raw", "off")]
    assert all(dict(summary.users) == USERS for summary in summaries)
    on, off = (summary.of("fecosr") for summary in summaries)
    assert on.markets["small"]["hr@10"] == pytest.approx(0.9)
    assert off.markets["small"]["hr@10"] == pytest.approx(0.45)


def test_local_is_the_better_on_validation_users(summaries: tuple[VariantSummary, ...]) -> None:
    for summary in summaries:
        assert summary.local == {"big": "local-id", "small": "local-semantic"}


def test_markets_are_averaged_alike_and_seeds_are_shown(summaries: tuple[VariantSummary, ...]) -> None:
    found = summaries[0].of("fecosr")
    assert found.markets["big"]["ndcg@10"] == pytest.approx(0.33)
    assert found.macro["ndcg@10"] == pytest.approx((0.33 + 0.90) / 2)
    assert found.macro_by_seed == pytest.approx(((0.32 + 0.9) / 2, (0.34 + 0.9) / 2), abs=0.001)


def test_who_lost_and_who_gained(summaries: tuple[VariantSummary, ...]) -> None:
    found = summaries[0].of("fecosr")
    assert found.losers() == ("big",)
    assert found.winners() == ("small",)
    assert summaries[0].largest == "big"
    difference = found.differences["big"]["hr@10"]
    assert difference.mean == pytest.approx(0.33 - 0.50)
    assert difference.low < difference.mean < difference.high < 0
    macro = found.macro_difference["ndcg@10"]
    assert macro.mean == pytest.approx((0.33 - 0.50 + 0.90 - 0.50) / 2)
    assert macro.is_above


def test_a_method_that_does_what_local_does_neither_loses_nor_gains(
    summaries: tuple[VariantSummary, ...],
) -> None:
    found = summaries[0].of("fedavg-ce-ft")
    assert found.losers() == found.winners() == ()
    assert found.differences["big"]["ndcg@10"].low == found.differences["big"]["ndcg@10"].high == 0.0
    reference = summaries[0].of("local-id").differences["big"]["ndcg@10"]
    assert (reference.low, reference.high) == (0.0, 0.0)


def test_the_macro_interval_resamples_users_within_their_markets() -> None:
    cells = {
        Cell("local-id", "raw", 1): result({"big": 0.5, "small": 0.5}, {"big": 0.5, "small": 0.5}),
        Cell("fecosr", "raw", 1): result({"big": 0.5, "small": 0.5}, {"big": 0.5, "small": 0.5}, shift=40),
    }
    found = summarise(cells)[0].of("fecosr").macro_difference["hr@10"]
    # Per user the differences are +1 or -1 for 80 users of each market and 0 for the others.
    spread = np.sqrt(80 / 600 / 600 + 80 / 100 / 100) / 2
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.1)


def test_tiny_markets_are_flagged(summaries: tuple[VariantSummary, ...]) -> None:
    assert summaries[0].tiny == ("small",)


def test_without_local_there_are_figures_and_no_differences() -> None:
    cells = {Cell("fecosr", "raw", 1): result({"big": 0.5, "small": 0.5}, {"big": 0.5, "small": 0.5})}
    found = summarise(cells)[0].of("fecosr")
    assert not found.differences
    assert not found.macro_difference
    assert found.losers() == ()
    assert found.macro["hr@10"] == pytest.approx(0.5)


def test_the_same_ranks_give_the_same_intervals(summaries: tuple[VariantSummary, ...]) -> None:
    cells = {
        Cell(name, "raw", 1): result({"big": share, "small": share}, {"big": 0.5, "small": 0.5})
        for name, share in (("local-id", 0.5), ("fecosr", 0.6))
    }
    assert summarise(cells) == summarise(cells)
