"""`fecosr compare`: methods side by side on the same markets, over seeds."""

import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from fecosr.cli.progress import progress_to
from fecosr.config.exits import TERMINATED
from fecosr.errors import ConfigError

if TYPE_CHECKING:
    from fecosr.harness.compare.jobs import Request, Workshop
    from fecosr.harness.compare.outputs import Comparison
    from fecosr.harness.compare.settings import ComparisonSettings
    from fecosr.training.settings import Device


def compare(
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the results; the same one again goes on."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FOLDER|FILE.toml",
            help="Markets, one file each, or described one by one [five generated markets].",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=100, help="Repetitions of every method.")] = 3,
    methods: Annotated[
        str, typer.Option("--methods", metavar="A,B,...", help="Only these methods [all of them].")
    ] = "",
    core: Annotated[
        bool, typer.Option("--core", help="Only the methods without which a comparison says nothing.")
    ] = False,
    variants: Annotated[
        str,
        typer.Option("--variants", metavar="raw,merged", help="Of the data [all that the data allow]."),
    ] = "",
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="Of federated methods.")] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", metavar="FILE.toml", help="All settings, as in a plan.")
    ] = None,
    embedding: Annotated[
        Path | None,
        typer.Option(
            "--embedding", help="The text model's folder or the file of vectors that the settings want."
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, max=64, help="Processes; figures do not depend on it.")
    ] = 2,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option("--device", help="Where to train; auto finds a GPU, which all processes share."),
    ] = "cpu",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures here as well.")
    ] = None,
    plots: Annotated[
        bool, typer.Option("--plots/--no-plots", help="Draw pictures (needs matplotlib).")
    ] = True,
    list_methods: Annotated[
        bool, typer.Option("--list-methods", help="Print the methods' names and end.")
    ] = False,
) -> None:
    """Train methods side by side, rank every user's target, and say who gains and who loses against Local.

    Writes results.json, ranks.parquet, plots and report.html into DIR. Ctrl-C at any time: the same command
    goes on with the first cell (method, data variant, seed) that is not finished.

    Examples: fecosr compare --core --seeds 1 --rounds 5 --out runs/quick;
    fecosr compare --data xmarket-electronics --core --seeds 3 --out runs/xmarket;
    fecosr compare --data online-retail --methods item-knn,local-id,local-semantic,fecosr --out runs/retail;
    fecosr compare --data markets.toml --out runs/own, where each [markets.NAME] is as [data] of a node
    """
    from fecosr.harness.compare.plots import require_matplotlib

    if list_methods:
        _print_methods()
        return
    if out is None:
        raise ConfigError("nowhere to write to", remedy="give --out DIR")
    if plots:
        require_matplotlib()
    request = _request(
        data,
        out,
        methods=_methods(methods, core=core),
        variants=variants,
        seeds=seeds,
        settings=_settings(settings, rounds, data),
        embedding=embedding,
        device=device,
    )
    comparison = _run(request, jobs, with_plots=plots)
    if json_file is not None:
        _write_json(comparison, json_file)
    _print(comparison)


def _methods(named: str, *, core: bool) -> tuple[str, ...]:
    from fecosr.harness.compare.registry import CORE, METHODS, methods_named

    if named and core:
        raise ConfigError("--methods and --core both say what to compare", remedy="give one of them")
    if not named:
        return CORE if core else tuple(method.name for method in METHODS)
    return tuple(method.name for method in methods_named(_parts(named)))


def _settings(path: Path | None, rounds: int | None, data: Path | None) -> "ComparisonSettings":
    from fecosr.config.toml import load
    from fecosr.harness.compare.settings import ComparisonSettings, settings_for
    from fecosr.harness.compare.variants import markets_of

    chosen = settings_for(markets_of(data)) if path is None else load(path, ComparisonSettings)
    return chosen if rounds is None else chosen.model_copy(update={"rounds": rounds})


def _request(
    data: Path | None,
    out: Path,
    *,
    methods: tuple[str, ...],
    variants: str,
    seeds: int,
    settings: "ComparisonSettings",
    embedding: Path | None,
    device: "Device",
) -> "Request":
    from fecosr.harness.compare.jobs import Request
    from fecosr.harness.compare.variants import markets_of, variants_named
    from fecosr.recommender.semantics import pinned
    from fecosr.training.devices import torch_device

    folder = None if data is None else data.absolute()
    pinned_settings = settings.model_copy(update={"semantics": pinned(settings.semantics, embedding)})
    return Request(
        data=folder,
        out=out.absolute(),
        methods=methods,
        variants=variants_named(_parts(variants), markets_of(folder)),
        seeds=tuple(range(1, seeds + 1)),
        settings=pinned_settings,
        embedding=None if embedding is None else embedding.absolute(),
        device="cpu" if torch_device(device).type == "cpu" else "cuda",
    )


def _run(request: "Request", jobs: int, *, with_plots: bool) -> "Comparison":
    from fecosr.harness.compare.display import watching
    from fecosr.harness.compare.jobs import open_workshop
    from fecosr.harness.compare.registry import methods_named
    from fecosr.harness.compare.run import compare as run_comparison
    from fecosr.harness.compare.run import write_outputs

    signal.signal(signal.SIGTERM, _end)
    console = Console(stderr=True, highlight=False)
    workshop = open_workshop(request)
    labels = {method.name: method.label for method in methods_named(request.methods)}
    with workshop.store.opened():
        pending = sum(len(job.cells) for job in workshop.pending())
        done = len(request.cells()) - pending
        found = f"; {done} of them are finished already" if done else ""
        console.print(f"{len(request.cells())} cells (method, data variant, seed){found}")
        _encode(workshop)
        with watching(console, labels, pending) as watcher:
            comparison = run_comparison(
                workshop, jobs, watcher, command=shlex.join(["fecosr", *sys.argv[1:]])
            )
        write_outputs(comparison, with_plots=with_plots)
    return comparison


def _encode(workshop: "Workshop") -> None:
    """Have a text model encode all titles before several processes would, each of them for itself."""
    from fecosr.recommender.settings import TEXT_MODELS

    if workshop.request.settings.semantics.kind in TEXT_MODELS and workshop.pending():
        for variant in workshop.request.variants:
            with progress_to("encoding titles") as encoded:
                workshop.study(variant, encoded)


def _print(comparison: "Comparison") -> None:
    from fecosr.harness.compare.terminal import findings, headline_table, legend

    console = Console(highlight=False)
    for summary in comparison.summaries:
        console.print(headline_table(summary, comparison))
        console.print()
        for line in findings(summary, comparison):
            console.print(line, markup=False)
        console.print()
    for line in legend(comparison):
        console.print(line, markup=False, style="dim")
    console.print(f"report: {comparison.request.out / 'report.html'}", markup=False, soft_wrap=True)


def _print_methods() -> None:
    from fecosr.harness.compare.registry import CORE, METHODS

    console = Console(highlight=False)
    for method in METHODS:
        core = " (core)" if method.name in CORE else ""
        console.print(f"{method.name}{core}: {method.description}", markup=False, soft_wrap=True)


def _write_json(comparison: "Comparison", path: Path) -> None:
    from fecosr.harness.compare.outputs import results_json
    from fecosr.storage.atomic_files import write_json

    write_json(path, results_json(comparison))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _end(_number: int, _frame: FrameType | None) -> None:
    # An exception, so that the processes that were started are ended on the way out.
    sys.exit(TERMINATED)
