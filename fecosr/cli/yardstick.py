"""`fecosr yardstick`: how good the encoder is by itself, on the public data that everybody measures on."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fecosr.cli.progress import progress_bar
from fecosr.harness.yardstick import PUBLISHED, Yardstick, measure_yardstick
from fecosr.recommender.metrics import RankingMetrics
from fecosr.training.baselines.sasrec import MEDIUM_ENCODER, MEDIUM_TRAINING
from fecosr.training.epochs import EpochReport
from fecosr.training.settings import Device


def print_yardstick(path: Path, *, seed: int, threads: int, device: Device, as_json: bool) -> None:
    """Train, rank and print; progress goes to standard error."""
    torch.set_num_threads(threads)
    encoder, training = MEDIUM_ENCODER, MEDIUM_TRAINING
    with progress_bar("training", training.max_epochs) as advance:

        def report(done: EpochReport) -> None:
            if done.epoch:
                advance(1)

        found = measure_yardstick(path, encoder, training, seed=seed, device=device, progress=report)
    if as_json:
        settings = {"encoder": asdict(encoder), "training": asdict(training)}
        run = {"seed": seed, "threads": threads, "device": device, **settings}
        typer.echo(json.dumps({**_as_json(found), **run}, indent=2))
    else:
        _print_table(found, seed)


def _as_json(found: Yardstick) -> dict[str, object]:
    return {
        "users": found.num_users,
        "items": found.num_items,
        "best_epoch": found.best_epoch,
        "training_seconds": found.training_seconds,
        "validation": _figures(found.validation),
        "test": _figures(found.test),
        "popularity": _figures(found.popularity),
        "published": {other.name: {"hr@10": other.hr_10, "ndcg@10": other.ndcg_10} for other in PUBLISHED},
    }


def _figures(metrics: RankingMetrics) -> dict[str, float]:
    return {"hr@10": metrics.hr_10, "ndcg@10": metrics.ndcg_10, "mrr": metrics.mrr}


def _print_table(found: Yardstick, seed: int) -> None:
    console = Console(highlight=False)
    console.print(
        f"{found.num_users:,} users, {found.num_items:,} items; seed {seed}; trained for "
        f"{found.training_seconds:.0f} s, best epoch {found.best_epoch} by validation"
    )
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    table.add_column("full ranking, history filtered")
    for name in ("HR@10", "NDCG@10"):
        table.add_column(name, justify="right")
    for name, metrics in (
        ("popularity, test", found.popularity),
        ("FeCoSR's encoder, validation", found.validation),
        ("FeCoSR's encoder, test", found.test),
    ):
        table.add_row(name, f"{metrics.hr_10:.4f}", f"{metrics.ndcg_10:.4f}")
    table.add_section()
    for other in PUBLISHED:
        table.add_row(f"{other.name} (published)", f"{other.hr_10:.4f}", f"{other.ndcg_10:.4f}")
    console.print(table)
