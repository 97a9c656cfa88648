"""`fecosr audit`: verify a run from its folder, or attack the training that it promises privacy for."""

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from fecosr.cli.groups import GroupWithDefault

RUN: Final = "run"
Fault = Literal["clipping-off", "noise-halved", "one-user-leak"]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Decides markets, coins and all parties' secrets.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class RunUnlessNamed(GroupWithDefault):
    """Take what does not begin with the name of a command as arguments of `run`."""

    default = RUN


app = typer.Typer(
    cls=RunUnlessNamed,
    no_args_is_help=True,
    help="Verify a run's ledger, signatures and privacy statement from its folder, offline.\n\n"
    "`run` itself may be left out: fecosr audit RUN_DIR --json; its options: fecosr audit run --help.\n\n"
    "Two more commands attack the training itself, on generated markets in this process.\n\n"
    "Examples: fecosr audit runs/demo-1; fecosr audit empirical",
)


@app.command(RUN)
def run(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run folder, copied or in place.")],
    roster: Annotated[
        Path | None, typer.Option("--roster", help="Your own roster.toml instead of the copy in RUN_DIR.")
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the JSON to this file too; the dashboard shows it.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the report as a page that needs no network.")
    ] = None,
    privacy_report: Annotated[
        Path | None, typer.Option("--privacy-report", help="Write privacy_report.json, for programs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a run's ledger, signatures and privacy statement, offline and without trusting anybody.

    Exit code 0: verified; 1: not; 2: there is nothing here that can be audited.

    Examples: fecosr audit runs/demo-1; fecosr audit runs/demo-1 --html report.html;
    fecosr audit run runs/demo-1 --roster kits/fr/roster.toml --json
    """
    from fecosr.cli.audit_run import Wanted, print_audit

    wanted = Wanted(out, html, privacy_report)
    raise typer.Exit(print_audit(run_folder, roster, wanted, as_json=as_json))


@app.command()
def empirical(
    run_folder: Annotated[
        Path | None,
        typer.Argument(metavar="RUN_DIR", help="Attack the terms of this run's plan [terms of your own]."),
    ] = None,
    *,
    epsilon: Annotated[
        float | None, typer.Option("--epsilon", help="What terms of your own promise [2].")
    ] = None,
    delta: Annotated[float | None, typer.Option("--delta", help="At this delta [1e-5].")] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="In so many rounds [16].")] = None,
    sampling_probability: Annotated[
        float | None,
        typer.Option("--sampling-probability", help="Of every user, for every round [0.5]."),
    ] = None,
    canaries: Annotated[int, typer.Option("--canaries", help="Users who are in by a fair coin each.")] = 1000,
    sums: Annotated[
        int, typer.Option("--sums", help="Sums with one user, and as many without; 0: skip that attack.")
    ] = 24,
    users: Annotated[int, typer.Option("--users", help="Ordinary users of each market.")] = 12,
    seed: Seed = 0,
    broken: Annotated[
        Fault | None,
        typer.Option("--broken", help="Break the training on purpose, to see that this is noticed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Attack private training with canaries: a lower bound on epsilon, to be compared with what is claimed.

    Trains on generated markets with the product's own code, from sampling to the opened sum. In one run, fair
    coins decide which canaries take part, and an adversary who knows all but the coins guesses them (Steinke
    and others 2023; by the trade-off, Mahloujifar and others 2024). Beside it: one user in sums and not; the
    influence of each user on a sum; the noise in one. A pass is worth what the attack would have noticed,
    which is printed with it.

    Exit code 0: nothing contradicts the claim; 1: something does; 2: these terms cannot be audited.

    Examples: fecosr audit empirical; fecosr audit empirical runs/private-1 --seed 7;
    fecosr audit empirical --epsilon 4 --rounds 4 --sampling-probability 1 --broken noise-halved
    """
    from fecosr.cli.audit_empirical import Own, print_empirical_audit

    own = Own(epsilon, delta, rounds, sampling_probability)
    effort = (canaries, sums, users, seed)
    raise typer.Exit(print_empirical_audit(run_folder, own, effort, broken, as_json=as_json))


@app.command()
def attacks(
    *,
    rounds: Annotated[int, typer.Option("--rounds", help="Of each kind, with other markets each.")] = 20,
    users: Annotated[int, typer.Option("--users", help="Users of each market.")] = 6,
    epsilon: Annotated[
        float, typer.Option("--epsilon", help="What a private round promises its users.")
    ] = 2.0,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Show what an update tells an attacker as it is, under its masks, in the sum, and in the noisy sum.

    Two attackers look at one market in real rounds: who took part (membership inference by known gradients),
    and which items were bought (gradient inversion in the projector's first layer). 0.5 is chance. Masks
    leave chance; the sum of a few small markets still tells much, unless it is private.

    Exit code 0: masked updates told nothing, and bare ones something; 1: otherwise.

    Examples: fecosr audit attacks; fecosr audit attacks --users 2 --epsilon 8 --seed 3 --json
    """
    from fecosr.cli.audit_attacks import print_attacks

    raise typer.Exit(print_attacks((rounds, users, epsilon, seed), as_json=as_json))
