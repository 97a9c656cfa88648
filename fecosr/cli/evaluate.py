"""`fecosr evaluate`: the full-ranking metrics of a market model."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fecosr.cli.progress import progress_bar
from fecosr.recommender.metrics import RankingMetrics
from fecosr.serving.evaluation import Evaluation, evaluate_model
from fecosr.serving.market_data import NumberedData, data_settings, read_numbered
from fecosr.serving.market_model import load_market_model
from fecosr.serving.trained import figures
from fecosr.training.evaluation import Part


def print_evaluation(
    model_folder: Path, data: Path | None, part: Part, *, history_filtered: bool, as_json: bool
) -> None:
    """Evaluate the model in `model_folder` and print its metrics."""
    served = load_market_model(model_folder)
    settings = data_settings(served.facts, data)
    # With as many threads as at the training, sums are taken in the same order: the same figures.
    torch.set_num_threads(served.facts.software.num_threads)
    numbered = read_numbered(settings, served.facts, served.catalogue.items)
    with progress_bar("ranking", numbered.sequences.num_users) as advance:
        evaluation = evaluate_model(
            served, numbered.sequences, part, history_filtered=history_filtered, advance=advance
        )
    report = {
        "market": served.facts.market,
        "part": part,
        "history_filtered": history_filtered,
        "data_of_training": numbered.same_as_trained,
        "unknown_interactions": numbered.unknown_interactions,
        **_metrics(evaluation.overall),
        "groups": {
            group.group: {"items": group.num_items, **_metrics(group.metrics)} for group in evaluation.groups
        },
    }
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    _print_table(evaluation)
    for line in _remarks(numbered, served.facts.software.device):
        sys.stderr.write(f"{line}\n")


def _metrics(metrics: RankingMetrics) -> Mapping[str, float]:
    return {"users": metrics.num_users, **figures(metrics)}


def _print_table(evaluation: Evaluation) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    table.add_column("target items")
    for name in ("items", "users", "HR@10", "NDCG@10", "MRR"):
        table.add_column(name, justify="right")
    for group in evaluation.groups:
        name = f"popularity tenth {group.group}" if group.group.isdigit() else group.group
        table.add_row(name, str(group.num_items), *_cells(group.metrics))
    num_items = sum(group.num_items for group in evaluation.groups if group.group.isdigit())
    table.add_section()
    table.add_row("all", str(num_items), *_cells(evaluation.overall), style="bold")
    Console(highlight=False).print(table)


def _cells(metrics: RankingMetrics) -> list[str]:
    if not metrics.num_users:
        return ["0", "-", "-", "-"]
    return [str(metrics.num_users), *(f"{value:.4f}" for value in figures(metrics).values())]


def _remarks(numbered: NumberedData, device: str) -> list[str]:
    remarks = []
    if device != "cpu":
        remarks.append(f"the node measured on {device}: where scores nearly tie, figures can differ")
    if numbered.same_as_trained is False:
        remarks.append("these are not the data of the training: users may have been trained on")
    if numbered.unknown_interactions:
        remarks.append(f"{numbered.unknown_interactions} interactions with unknown items were left out")
    return remarks
