"""The commands of `fecosr`. What is heavy is imported by the command that needs it: help is instant."""

from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from fecosr import __version__
from fecosr.cli import audit, bench, provision
from fecosr.cli.compare import compare
from fecosr.config.exits import DONE, end_with

app = typer.Typer(
    name="fecosr",
    help="Federated cross-market sequential recommendation under secure aggregation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # In rich markup a default in brackets would be taken for a style and vanish.
    rich_markup_mode="markdown",
)
harness = typer.Typer(no_args_is_help=True, help="Run a whole federation as processes on this machine.")
app.add_typer(harness, name="harness")
app.add_typer(audit.app, name="audit")
app.add_typer(bench.app, name="bench")
app.command()(compare)
app.add_typer(provision.app, name="provision")


def main() -> NoReturn:
    """Run the command line; every foreseen error becomes one line on standard error and an exit code."""
    end_with(_run_app)


def _run_app() -> int:
    app()
    return DONE


@app.command()
def version() -> None:
    """Print the version.

    Example: fecosr version
    """
    typer.echo(__version__)


@app.command()
def preflight(
    kit: Annotated[Path, typer.Argument(metavar="KIT", help="The folder of a kit, or its configuration.")],
    plan_hash: Annotated[
        str | None,
        typer.Option("--plan-hash", help="As another party reads it out; the kit's plan must have it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look a kit over before anything is started with it, and say what to do about what is found.

    Looks at permissions, identity, certificates, expiry, revocations, clock, plan, policy, storage, earlier
    state, port, the way to the coordinator, and the market's data. Starts nothing, joins nothing.

    Exit code 0: a process started with this kit would work; 1: something is in the way; 2: this is no kit.

    Examples: fecosr preflight kits/fr; fecosr preflight kits/coordinator --json
    """
    from fecosr.cli.preflight import print_preflight

    raise typer.Exit(print_preflight(kit, plan_hash, as_json=as_json))


@app.command()
def semantics(
    kind: Annotated[
        Literal["wordllama", "minilm", "folder", "vectors"], typer.Argument(help="As in semantics.kind.")
    ],
    embedding: Annotated[
        Path | None,
        typer.Option("--embedding", help="The folder of a text model, or a file of vectors."),
    ] = None,
) -> None:
    """Print the [semantics] section of a plan for an embedding on this machine, with the hash of its files.

    Every market's node compares that hash with its own files before it starts.

    Examples: fecosr semantics wordllama; fecosr semantics folder --embedding models/e5-small
    """
    from fecosr.cli.semantics import print_section

    print_section(kind, embedding)


@app.command()
def status(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN_DIR", help="A run folder, a party's kit, or its storage folder.")
    ],
    watch: Annotated[
        float | None,
        typer.Option(
            "--watch", min=0.2, metavar="SECONDS", help="Look again so often until the run is over."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say where a run stands: round, phase, markets, ledger, last release. Reads files only, changes none.

    Works while the run goes on and when nothing runs at all; what it says is as old as the last record.

    Examples: fecosr status runs/demo-1; fecosr status kits/coordinator --json;
    fecosr status runs/demo-1 --watch 2
    """
    from fecosr.cli.status import print_status, watch_status

    if watch is not None and not as_json:
        raise typer.Exit(watch_status(folder, watch))
    raise typer.Exit(print_status(folder, as_json=as_json))


@app.command(name="fetch-run")
def fetch_run(
    kit: Annotated[
        Path, typer.Argument(metavar="KIT", help="The coordinator's kit, or its coordinator.toml.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The run folder to write, or to bring up to date.")],
) -> None:
    """Write a run that a coordinator keeps in PostgreSQL as a run folder, for status and audit.

    Works while the run goes on, and reads the database only. Again: only what is new is fetched.

    Example: fecosr fetch-run kits/coordinator --out runs/spring
    """
    from fecosr.cli.fetch_run import write_run

    write_run(kit, out)


Part = Literal["validation", "test"]
ModelFolder = Annotated[
    Path, typer.Argument(metavar="MODEL_DIR", help="A market model folder: NODE_STORAGE/model, or an export.")
]
MarketData = Annotated[
    Path | None,
    typer.Option("--data", help="The market's data, if they are not where the model says."),
]


@app.command()
def evaluate(
    model_folder: ModelFolder,
    data: MarketData = None,
    part: Annotated[Part, typer.Option("--part", help="Which target of each user to rank.")] = "test",
    *,
    unfiltered: Annotated[
        bool, typer.Option("--unfiltered", help="Rank items too that a user has already bought.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure a market model: HR@10, NDCG@10 and MRR over the whole catalogue, overall and by popularity.

    On the data of the training these are the figures of the node's report.json.

    Examples: fecosr evaluate runs/demo-1/east/model; fecosr evaluate model --data fr.parquet --json
    """
    from fecosr.cli.evaluate import print_evaluation

    print_evaluation(model_folder, data, part, history_filtered=not unfiltered, as_json=as_json)


@app.command()
def recommend(
    model_folder: ModelFolder,
    *,
    data: MarketData = None,
    users: Annotated[
        list[str] | None,
        typer.Option(
            "--users", metavar="ID|FILE", help="Only these; a file has one id in each line. Repeatable."
        ),
    ] = None,
    histories: Annotated[
        Path | None,
        typer.Option("--histories", help="New users instead: CSV or Parquet with user, item[, timestamp]."),
    ] = None,
    new_items: Annotated[
        Path | None,
        typer.Option("--new-items", help="Items since the training: CSV or Parquet with item, title."),
    ] = None,
    embedding: Annotated[
        Path | None,
        typer.Option(
            "--embedding",
            help="For new items: text model, vectors, or sum of sketches.",
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Most items of each user.")] = 10,
    keep_seen: Annotated[
        bool, typer.Option("--keep-seen", help="Recommend also what a user has already bought.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="A .parquet or .csv file [CSV on standard output].")
    ] = None,
) -> None:
    """Recommend the best k items to all users of a market, to given ones, or to new users by their histories.

    Columns: user, rank, item, score; users ascend, equal scores go to the lower item id. What is skipped is
    counted on standard error.

    Examples: fecosr recommend runs/demo-1/east/model --k 5;
    fecosr recommend model --users vip.txt --out top.parquet;
    fecosr recommend model --histories today.csv --new-items arrivals.csv --out top.csv
    """
    from fecosr.cli.recommend import Wish, print_recommendations

    wish = Wish(data, users or (), histories, new_items, embedding, k, keep_seen, out)
    print_recommendations(model_folder, wish)


@app.command()
def export(
    model_folder: ModelFolder,
    out: Annotated[Path, typer.Option("--out", help="New folder.")],
    *,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Add model.onnx (pip install 'fecosr[onnx]').")
    ] = False,
) -> None:
    """Copy a market model to hand it on: without the market's data, with a model card.

    Examples: fecosr export runs/demo-1/east/model --out east-model;
    fecosr export model --out handed-on --onnx
    """
    from fecosr.cli.export import write_export

    write_export(model_folder, out, onnx=onnx)


@app.command(name="export-curves")
def export_curves(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN_DIR", help="A run folder, or the folder of a comparison.")
    ],
    tensorboard: Annotated[Path, typer.Option("--tensorboard", help="New folder for TensorBoard.")],
    log: Annotated[
        list[Path] | None,
        typer.Option("--log", help="A party's log in JSON lines that is not in RUN_DIR/logs. Repeatable."),
    ] = None,
) -> None:
    """Write training curves for TensorBoard: losses and metrics by round, markets' own metrics by epoch.

    Needs pip install 'fecosr[tensorboard]'. Nothing is computed: what ledger, logs and results.json say.

    Examples: fecosr export-curves runs/demo-1 --tensorboard board;
    fecosr export-curves runs/comparison --tensorboard board;
    fecosr export-curves state --log fr.jsonl --tensorboard board
    """
    from fecosr.cli.export_curves import write_curves

    write_curves(folder, log or (), tensorboard)


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder with one file for each market."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="New run folder [runs/demo-N].")] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="Rounds of training.")] = None,
) -> None:
    """Run a whole federation on this machine, kill a market in the middle, and show what everybody gained.

    Examples: fecosr demo; fecosr demo --data xmarket-electronics --rounds 5 --out runs/xmarket
    """
    from fecosr.cli.harness import run_demo

    raise typer.Exit(run_demo(data, out, rounds))


@app.command()
def yardstick(
    data: Annotated[
        Path, typer.Option("--data", help="Beauty.txt.gz, its folder, or another file of user sequences.")
    ],
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of initial parameters and batches.")] = 0,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Of the processor.")] = 1,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where to train; auto finds a GPU.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train the encoder alone on public data and rank its test targets, beside what others have published.

    Leave-one-out, whole catalogue, history left out; the epoch is chosen on validation targets.

    Examples: fecosr yardstick --data amazon-beauty; fecosr yardstick --data Beauty.txt.gz --threads 2 --json
    """
    from fecosr.cli.yardstick import print_yardstick

    print_yardstick(data, seed=seed, threads=threads, device=device, as_json=as_json)


@app.command()
def simulate(
    *,
    nodes: Annotated[int, typer.Option("--nodes", min=2, max=9999, help="How many nodes.")],
    length: Annotated[int, typer.Option("--length", min=1, help="Elements of each node's vector.")],
    dropout: Annotated[
        float, typer.Option("--dropout", min=0, max=1, help="Chance that a node leaves in some phase.")
    ] = 0.0,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Decides every vector, key, delay and fault.")
    ] = 0,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--faults",
            metavar="NAME=NUMBER",
            help="loss, duplication, crash, notice (chances); least_delay_seconds, most_delay_seconds, "
            "crash_within_seconds. May be given several times.",
        ),
    ] = None,
    n_min: Annotated[int | None, typer.Option("--n-min", min=2, help="Fewest survivors [nodes / 2].")] = None,
    max_colluding: Annotated[
        int | None, typer.Option("--max-colluding", min=0, help="Nodes that may collude [nodes / 10].")
    ] = None,
    ring_bits: Annotated[int, typer.Option("--ring-bits", help="32, 24 or 16.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play one secure aggregation in this process: the real state machines, seeded faults, virtual time.

    Exit code 0: the sum is right, or so many had left that there could be none; 1: anything else.

    Examples: fecosr simulate --nodes 50 --length 100000 --dropout 0.1;
    fecosr simulate --nodes 12 --length 10 --faults duplication=0.5 --faults loss=0.02 --seed 7
    """
    from fecosr.cli.simulate import Rehearsal, run_simulation

    rehearsal = Rehearsal(nodes, length, dropout, seed, faults or (), n_min, max_colluding, ring_bits)
    raise typer.Exit(run_simulation(rehearsal, as_json=as_json))


@harness.command("run")
def harness_run(
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(metavar="SCENARIO...", help="Files, or names from `list` [every shipped one]."),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="New run folder; of several, a folder for theirs [runs/NAME-N]."),
    ] = None,
    keep_kits: Annotated[
        Path | None,
        typer.Option("--keep-kits", help="New folder for the startup kits, keys and all."),
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write results as JUnit XML.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write results as JSON.")] = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Let every node import for itself, as an operator's does.")
    ] = False,
) -> None:
    """Run coordinator and market nodes as processes, break what the scenario breaks, check what it expects.

    Exit code 0: every expectation holds; 1: one does not; 2: the scenario cannot be used.

    Examples: fecosr harness run demo --out runs/demo; fecosr harness run link-cut my.toml --junit junit.xml
    """
    from fecosr.cli.harness import Wanted, run_files

    raise typer.Exit(run_files(scenarios or (), Wanted(out, keep_kits, junit, json_file, cold)))


@harness.command("list")
def harness_list() -> None:
    """List the scenarios that come with FeCoSR.

    Example: fecosr harness list
    """
    from fecosr.cli.harness import list_scenarios

    list_scenarios()


@harness.command("keys")
def harness_keys() -> None:
    """Explain every key that a scenario file can hold.

    Example: fecosr harness keys
    """
    from fecosr.cli.harness import print_keys

    print_keys()
