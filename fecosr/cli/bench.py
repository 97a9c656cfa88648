"""Benchmarks by name; each prints our figure beside a floor or a peer measured in the same run."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

if TYPE_CHECKING:
    from fecosr.harness.figures import Figure


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Say what a benchmark measures and where it lives.

    Attributes:
        module: has a `measure()` that returns figures.
        help: one line.
        on_device: `measure` can be told on which device.
    """

    module: str
    help: str
    on_device: bool = False


BENCHMARKS: Final[dict[str, Benchmark]] = {
    "privacy": Benchmark(
        "fecosr.harness.bench_privacy", "Noise, private steps, budget filter, audit, beside peers."
    ),
    "scaling": Benchmark(
        "fecosr.harness.bench_scaling", "Nodes and parameters that one coordinator carries, by simulation."
    ),
    "secagg": Benchmark("fecosr.harness.bench_secagg", "Encoding, masking and sharing, beside their floors."),
    "sharding": Benchmark(
        "fecosr.harness.bench_sharding", "A huge catalogue divided among two processes, beside one."
    ),
    "startup": Benchmark("fecosr.harness.bench_startup", "Start-up of both binaries, beside bare imports."),
    "training": Benchmark(
        "fecosr.harness.bench_training", "Full-softmax training, beside autograd and a peer.", on_device=True
    ),
    "wire": Benchmark("fecosr.harness.bench_wire", "Rounds without training, beside bare gRPC streaming."),
}
"""Every benchmark there is; adding one here makes it a command."""

app = typer.Typer(no_args_is_help=True, help="Measure us beside a floor or a peer, in the same run.")


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON array.")]
OnDevice = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where to train; auto finds a GPU.")
]


def _command(name: str, benchmark: Benchmark) -> Callable[..., None]:
    def command(as_json: AsJson = False) -> None:
        _print(import_module(benchmark.module).measure(), as_json=as_json)

    def command_on_device(device: OnDevice = "cpu", as_json: AsJson = False) -> None:
        _print(import_module(benchmark.module).measure(device=device), as_json=as_json)

    chosen: Callable[..., None] = command_on_device if benchmark.on_device else command
    chosen.__doc__ = f"{benchmark.help}\n\nExample: fecosr bench {name} --json"
    return chosen


def _print(figures: Sequence["Figure"], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([figure.as_json() for figure in figures], indent=2))
        return
    for figure in figures:
        typer.echo(
            f"{figure.name}: {figure.ours:.4g} {figure.unit}, {figure.reference_name} "
            f"{figure.reference:.4g} {figure.unit}, ratio {figure.ratio:.2f}"
        )


for _name, _benchmark in BENCHMARKS.items():
    app.command(_name)(_command(_name, _benchmark))
