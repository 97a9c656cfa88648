"""Benchmarks by name; each prints our figure beside a floor or a peer measured in the same run."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from fecosr.harness.figures import Figure


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Say what a benchmark measures and where it lives: `module` has a `measure()` that returns figures."""

    module: str
    help: str


BENCHMARKS: Final[dict[str, Benchmark]] = {
    "secagg": Benchmark("fecosr.harness.bench_secagg", "Encoding, masking and sharing, beside their floors."),
    "training": Benchmark(
        "fecosr.harness.bench_training", "Full-softmax training, beside autograd and a peer."
    ),
    "wire": Benchmark("fecosr.harness.bench_wire", "Rounds without training, beside bare gRPC streaming."),
}
"""Every benchmark there is; adding one here makes it a command."""

app = typer.Typer(no_args_is_help=True, help="Measure us beside a floor or a peer, in the same run.")


def _command(name: str, benchmark: Benchmark) -> Callable[..., None]:
    def command(
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
    ) -> None:
        module = import_module(benchmark.module)
        figures: Sequence[Figure] = module.measure()
        if as_json:
            typer.echo(json.dumps([figure.as_json() for figure in figures], indent=2))
            return
        for figure in figures:
            typer.echo(
                f"{figure.name}: {figure.ours:.4g} {figure.unit}, {figure.reference_name} "
                f"{figure.reference:.4g} {figure.unit}, ratio {figure.ratio:.2f}"
            )

    command.__doc__ = f"{benchmark.help}\n\nExample: fecosr bench {name} --json"
    return command


for _name, _benchmark in BENCHMARKS.items():
    app.command(_name)(_command(_name, _benchmark))
