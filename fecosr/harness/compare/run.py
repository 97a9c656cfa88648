"""A comparison from request to report, going on where an earlier start of it stopped."""

from fecosr.errors import FecosrError
from fecosr.harness.compare.cells import Cell, CellResult
from fecosr.harness.compare.contraction import measure_contraction
from fecosr.harness.compare.jobs import Workshop
from fecosr.harness.compare.outputs import Comparison, ranks_parquet, results_json
from fecosr.harness.compare.plots import write_plots
from fecosr.harness.compare.report import html_report
from fecosr.harness.compare.summary import summarise
from fecosr.harness.compare.workers import Watcher, run_jobs
from fecosr.storage.atomic_files import write_bytes, write_json


def compare(workshop: Workshop, num_processes: int, watcher: Watcher, *, command: str) -> Comparison:
    """Do what is left of a comparison and return all of it.

    Args:
        workshop: of the request, its store opened.
        num_processes: at most so many at a time; figures do not depend on it.
        watcher: is told how it goes.
        command: that asked, for the report.

    Raises:
        FecosrError: what stopped it; the same request goes on from there.
    """
    run_jobs(workshop, workshop.pending(), num_processes, watcher)
    request = workshop.request
    results = {cell: _finished(workshop, cell) for cell in request.cells()}
    studies = {variant: workshop.study(variant) for variant in request.variants}
    return Comparison(
        request=request,
        command=command,
        results=results,
        summaries=summarise(results),
        contractions={variant: measure_contraction(study) for variant, study in studies.items()},
        items={
            variant: {name: data.num_items for name, data in study.markets.items()}
            for variant, study in studies.items()
        },
    )


def write_outputs(comparison: Comparison, *, with_plots: bool) -> None:
    """Write `results.json`, `ranks.parquet`, the plots and `report.html` into the comparison's folder.

    Raises:
        StorageError: the disk refused.
    """
    out = comparison.request.out
    write_json(out / "results.json", results_json(comparison))
    write_bytes(out / "ranks.parquet", ranks_parquet(comparison.results))
    plots = write_plots(comparison, out / "plots") if with_plots else {}
    write_bytes(out / "report.html", html_report(comparison, plots).encode())


def _finished(workshop: Workshop, cell: Cell) -> CellResult:
    result = workshop.store.read(cell)
    if result is None:
        raise FecosrError(
            f"no result for {cell.method}, {cell.variant}, seed {cell.seed}: the program or the data changed "
            "while it ran; start it again"
        )
    return result
