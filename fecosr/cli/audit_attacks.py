"""`fecosr audit attacks`: what an update tells as it is, masked, in the sum, and in the noisy sum."""

import json
from collections.abc import Mapping

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fecosr.audit.attacks.comparison import CONFIDENCE, Comparison, Shown, compare, findings, for_programs
from fecosr.audit.attacks.views import VIEWS, ViewName
from fecosr.cli.progress import progress_to
from fecosr.config.exits import DONE, FAILED
from fecosr.privacy.separation import Interval


def print_attacks(chosen: tuple[int, int, float, int], *, as_json: bool) -> int:
    """Run the attacks, print what came of them, and return the exit code."""
    comparison = Comparison(*chosen)
    with progress_to("attacking rounds") as advance:
        shown = compare(comparison, advance)
    contradictions = list(findings(shown))
    if as_json:
        typer.echo(json.dumps(_told(shown, comparison), indent=2))
    else:
        _print_table(shown, comparison)
        for finding in contradictions:
            typer.echo(finding)
    return FAILED if contradictions else DONE


def _told(shown: Mapping[ViewName, Shown], comparison: Comparison) -> dict[str, object]:
    chosen = {
        "rounds": comparison.rounds,
        "users": comparison.users,
        "epsilon": comparison.epsilon,
        "seed": comparison.seed,
    }
    return {**for_programs(shown), **chosen}


def _print_table(shown: Mapping[ViewName, Shown], comparison: Comparison) -> None:
    console = Console(highlight=False)
    console.print(
        f"One market of three, {comparison.users} users each; means over {comparison.rounds} rounds of other "
        f"markets with {CONFIDENCE:.0%} intervals; seed {comparison.seed}. 0.50 is chance.",
        soft_wrap=True,
    )
    luck = next(iter(shown.values())).recall_by_luck
    table = Table(
        "What is looked at",
        "who took part",
        "which items were bought",
        f"items found (luck: {luck:.0%})",
        box=SIMPLE_HEAD,
    )
    for view, each in shown.items():
        table.add_row(VIEWS[view], _rate(each.membership), _rate(each.items), f"{each.recall.mean:.0%}")
    console.print(table)
    console.print(
        "First two columns: the chance that the attacker ranks somebody who took part, or an item that was "
        "bought, above another one. A masked update is uniform to whoever lacks the masks, so nothing can be "
        "found in it. Masks do not protect the sum: what few small markets have added up tells much of each, "
        f"and only noise bounds it, here at epsilon {comparison.epsilon:g} for this one round.",
        soft_wrap=True,
    )


def _rate(found: Interval) -> str:
    return f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]".replace("[", "\\[")
