"""A whole comparison: stopped and gone on with, in one process and in two, and every file it writes."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fecosr.data.interactions import read_interactions
from fecosr.data.markets import NamedSettings
from fecosr.data.sequences import MarketSequences
from fecosr.data.settings import DataSettings, SyntheticSettings
from fecosr.errors import DataError, FecosrError
from fecosr.harness.compare import jobs as jobs_module
from fecosr.harness.compare import variants as variants_module
from fecosr.harness.compare.cells import Cell
from fecosr.harness.compare.jobs import CellDone, Event, Request, Workshop, open_workshop
from fecosr.harness.compare.outputs import Comparison, results_json
from fecosr.harness.compare.run import compare, write_outputs
from fecosr.harness.compare.settings import ComparisonSettings
from fecosr.harness.compare.workers import run_jobs
from fecosr.recommender.metrics import metrics_of_ranks
from fecosr.recommender.semantics import pinned
from fecosr.recommender.settings import SemanticsSettings
from tests.reference.token_folder import write_token_folder

SIZES = {"big": (90, 70), "middle": (60, 64), "small": (40, 64)}

METHODS = ("popularity", "item-knn", "local-semantic", "fedavg-ce", "fedavg-ce-ft", "fecosr")
Make = Callable[..., Request]


class Events:
    """Remember what a watcher is told; stop everything after some finished cells."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.cells: list[Cell] = []
        self.activities: set[str] = set()
        self.stop_after = stop_after

    def told(self, process: int, event: Event) -> None:
        if isinstance(event, CellDone):
            self.cells.append(event.cell)
            if len(self.cells) == self.stop_after:
                raise KeyboardInterrupt
        else:
            self.activities.add(event.activity)

    def idle(self, process: int) -> None:
        pass


@pytest.fixture
def make(
    tmp_path: Path,
    settings: ComparisonSettings,
    sequences: Mapping[str, MarketSequences],
    monkeypatch: pytest.MonkeyPatch,
) -> Make:
    """Return a maker of requests on the three small markets."""
    markets: NamedSettings = tuple(
        (
            name,
            DataSettings(
                kind="synthetic", market=name, synthetic=SyntheticSettings(num_users=9, num_items=64)
            ),
        )
        for name in sequences
    )
    monkeypatch.setattr(jobs_module, "markets_of", lambda _: markets)
    monkeypatch.setattr(jobs_module, "load_variant", lambda *_: dict(sequences))

    def request(out: str = "out", **changes: object) -> Request:
        values: dict[str, object] = {
            "data": None,
            "out": tmp_path / out,
            "methods": METHODS,
            "variants": ("raw",),
            "seeds": (1, 2),
            "settings": settings,
        }
        return Request.model_validate({**values, **changes})

    return request


def finish(request: Request, watcher: Events | None = None, processes: int = 1) -> Comparison:
    workshop = open_workshop(request)
    with workshop.store.opened():
        return compare(workshop, processes, watcher or Events(), command="fecosr compare")


def figures(comparison: Comparison) -> object:
    return results_json(comparison)["results"]


def test_what_was_finished_is_not_done_again(make: Make) -> None:
    request = make(methods=("popularity", "item-knn", "fedavg-ce", "fedavg-ce-ft"))
    stopped = Events(stop_after=5)
    with pytest.raises(KeyboardInterrupt):
        finish(request, stopped)
    going_on = Events()
    comparison = finish(request, going_on)
    assert len(stopped.cells) == 5
    assert set(stopped.cells) | set(going_on.cells) == set(request.cells())
    assert not set(stopped.cells) & set(going_on.cells)
    again = Events()
    assert figures(finish(request, again)) == figures(comparison)
    assert again.cells == []
    undisturbed = finish(request.model_copy(update={"out": request.out.with_name("undisturbed")}))
    assert figures(undisturbed) == figures(comparison)
    assert undisturbed.summaries == comparison.summaries


def test_a_stage_survives_a_stop_between_the_methods_that_share_it(make: Make) -> None:
    request = make(methods=("fedavg-ce", "fedavg-ce-ft"), seeds=(1,))
    with pytest.raises(KeyboardInterrupt):
        finish(request, Events(stop_after=1))
    going_on = Events()
    finish(request, going_on)
    assert "rounds" not in going_on.activities
    assert going_on.cells == [Cell("fedavg-ce-ft", "raw", 1)]


def test_other_settings_seeds_and_methods_are_done_and_the_rest_is_kept(
    make: Make, settings: ComparisonSettings
) -> None:
    finish(make(methods=("popularity",), seeds=(1,)))
    more = Events()
    finish(make(methods=("popularity", "item-knn"), seeds=(1, 2)), more)
    assert Cell("popularity", "raw", 1) not in more.cells
    assert len(more.cells) == 3
    changed = Events()
    finish(
        make(methods=("popularity",), seeds=(1,), settings=settings.model_copy(update={"rounds": 3})), changed
    )
    assert len(changed.cells) == 1


def test_long_jobs_come_first_and_cells_of_a_stage_together(make: Make) -> None:
    jobs = open_workshop(make()).pending()
    assert [[cell.method for cell in job.cells] for job in jobs[:5]] == [
        ["fecosr"],
        ["fedavg-ce", "fedavg-ce-ft"],
        ["local-semantic"],
        ["item-knn"],
        ["popularity"],
    ]
    assert [job.cells[0].seed for job in jobs] == [1] * 5 + [2] * 5


def test_every_file_says_the_same(make: Make) -> None:
    request = make()
    comparison = finish(request)
    write_outputs(comparison, with_plots=False)
    written = json.loads((request.out / "results.json").read_text())
    rows = written["results"]
    assert len(rows) == len(METHODS) * 3 * 2 * 2
    assert {row["filter"] for row in rows} == {"on", "off"}
    ranks = pl.read_parquet(request.out / "ranks.parquet")
    for row in rows[::7]:
        column = "rank_filtered" if row["filter"] == "on" else "rank_unfiltered"
        of_users = ranks.filter(
            (pl.col("method") == row["method"])
            & (pl.col("market") == row["market"])
            & (pl.col("seed") == row["seed"])
        )[column]
        expected = metrics_of_ranks(of_users.to_numpy().astype(np.int64))
        assert row["users"] == expected.num_users
        assert (row["hr@10"], row["ndcg@10"], row["mrr"]) == pytest.approx(
            (expected.hr_10, expected.ndcg_10, expected.mrr)
        )
    summary = written["summary"][0]
    assert [market["market"] for market in summary["markets"]] == ["big", "middle", "small"]
    assert all(market["is_tiny"] for market in summary["markets"])
    fecosr = next(found for found in summary["methods"] if found["method"] == "fecosr")
    mean = np.mean(
        [row["ndcg@10"] for row in rows if (row["method"], row["filter"]) == ("fecosr", "on")], dtype=float
    )
    assert fecosr["macro"]["ndcg@10"] == pytest.approx(mean)
    interval = fecosr["markets"]["big"]["difference_to_local"]["ndcg@10"]
    assert interval["low"] <= interval["mean"] <= interval["high"]
    counting = next(found for found in summary["methods"] if found["method"] == "popularity")
    assert counting["negative_transfer"] == []
    assert [(found["method"], found["seed"], len(found["rounds"])) for found in written["heterogeneity"]] == [
        ("fedavg-ce", 1, 2),
        ("fedavg-ce", 2, 2),
        ("fecosr", 1, 2),
        ("fecosr", 2, 2),
    ]
    assert len(written["contraction"]["raw"]["pairs"]) == 3
    assert written["settings"]["rounds"] == 2
    assert written["seeds"] == [1, 2]
    assert len(written["settings_hash"]) == 64


def test_the_report_stands_alone_and_escapes_what_it_is_given(make: Make) -> None:
    request = make(methods=("popularity", "local-semantic", "fedavg-ce", "centralised"), seeds=(1,))
    comparison = finish(request)
    object.__setattr__(comparison, "command", "fecosr compare --out '<script>'")
    write_outputs(comparison, with_plots=True)
    page = (request.out / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("data:image/png;base64,") == 3
    assert not re.search(r"(src|href)=(?!\"data:)", page)
    assert "Centralised !" in page
    assert {path.suffix for path in (request.out / "plots").iterdir()} == {".png", ".svg"}


def test_without_plots_nothing_is_drawn(make: Make) -> None:
    request = make(methods=("popularity",), seeds=(1,))
    write_outputs(finish(request), with_plots=False)
    assert not (request.out / "plots").exists()
    assert "data:image" not in (request.out / "report.html").read_text()


@pytest.fixture
def from_files(tmp_path: Path, settings: ComparisonSettings) -> Request:
    """Return a request on three small markets that any process can read."""
    data = tmp_path / "data"
    data.mkdir()
    for name, (users, items) in SIZES.items():
        generated = SyntheticSettings(num_users=users, num_items=items, num_categories=8)
        read_interactions(DataSettings(kind="synthetic", market=name, synthetic=generated)).write_csv(
            data / f"{name}.csv"
        )
    return Request(
        data=data,
        out=tmp_path / "out",
        methods=("popularity", "item-knn", "local-semantic", "fedavg-ce-ft", "fecosr"),
        variants=("raw",),
        seeds=(1,),
        settings=settings,
    )


@pytest.mark.slow
def test_two_processes_find_what_one_finds(from_files: Request, tmp_path: Path) -> None:
    watched = Events()
    in_two = figures(finish(from_files, watched, processes=2))
    assert set(watched.cells) == set(from_files.cells())
    assert "training alone" in watched.activities
    assert in_two == figures(finish(from_files.model_copy(update={"out": tmp_path / "one"})))


@pytest.mark.slow
def test_a_process_that_would_find_something_else_stops_the_comparison(from_files: Request) -> None:
    workshop = open_workshop(from_files)
    changed = from_files.data / "small.csv"  # type: ignore[operator]
    changed.write_text("\n".join(changed.read_text().splitlines()[:-1]))
    with workshop.store.opened(), pytest.raises(FecosrError, match="changed since the comparison started"):
        run_jobs(workshop, workshop.pending(), 2, Events())


@pytest.mark.slow
def test_what_stops_a_process_stops_the_comparison_with_its_reason(from_files: Request) -> None:
    workshop = open_workshop(from_files)
    (from_files.data / "small.csv").write_text("user,item,timestamp\n")  # type: ignore[operator]
    with workshop.store.opened(), pytest.raises(FecosrError, match="no interactions"):
        run_jobs(workshop, workshop.pending(), 2, Events())


def test_a_result_that_is_missing_in_the_end_is_an_error(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop = open_workshop(make(methods=("popularity",), seeds=(1,)))
    monkeypatch.setattr(Workshop, "pending", lambda _: ())
    with (
        workshop.store.opened(),
        pytest.raises(FecosrError, match=r"popularity, raw, seed 1.* start it again"),
    ):
        compare(workshop, 1, Events(), command="")


def test_data_that_cannot_be_used_are_refused_before_anything_is_written(
    tmp_path: Path, settings: ComparisonSettings
) -> None:
    request = Request(
        data=tmp_path / "nothing",
        out=tmp_path / "out",
        methods=("popularity",),
        variants=variants_module.VARIANTS,
        seeds=(1,),
        settings=settings,
    )
    with pytest.raises(DataError, match="no folder of markets"):
        open_workshop(request)
    assert not (tmp_path / "out").exists()


def test_cells_belong_to_the_files_of_an_embedding(
    make: Make, settings: ComparisonSettings, tmp_path: Path
) -> None:
    def request(folder: Path) -> Request:
        semantics = pinned(SemanticsSettings(kind="folder", dimension=16), folder)
        wanted = settings.model_copy(update={"semantics": semantics})
        return make(methods=("popularity", "fedavg-ce"), seeds=(1,), settings=wanted, embedding=folder)

    first = request(write_token_folder(tmp_path / "tiny"))
    finish(first)
    assert open_workshop(first).pending() == ()
    other = request(write_token_folder(tmp_path / "other", seed=1))
    assert len(open_workshop(other).pending()) == 2
