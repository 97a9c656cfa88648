"""`fecosr export-curves`: training curves for TensorBoard."""

from collections.abc import Sequence
from pathlib import Path

import typer

from fecosr.cli.progress import working
from fecosr.harness.curves import read_curves, write_tensorboard


def write_curves(folder: Path, logs: Sequence[Path], tensorboard: Path) -> None:
    """Write every curve found in `folder` and `logs` to the new folder `tensorboard`, and say how many."""
    with working("writing curves"):
        count = write_tensorboard(read_curves(folder, logs), tensorboard)
    typer.echo(f"{count} curves: tensorboard --logdir {tensorboard}")
