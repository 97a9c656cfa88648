"""`fecosr export`: a copy of a market model to hand on, with a model card."""

from pathlib import Path

import typer
from rich.console import Console

from fecosr.serving.export import CARD_FILE, export_model
from fecosr.serving.market_model import load_market_model


def write_export(model_folder: Path, out: Path, *, onnx: bool) -> None:
    """Export the model in `model_folder` and say what to read first."""
    served = load_market_model(model_folder)
    with Console(stderr=True).status("writing, and checking what was written" if onnx else "writing"):
        export_model(served, out, onnx=onnx)
    typer.echo(f"{out / CARD_FILE}: read it before you hand the folder on")
