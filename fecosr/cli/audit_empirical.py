"""`fecosr audit empirical`: show what attacks on private training came to beside what is claimed."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from fecosr.audit.empirical.audit import audit_empirically
from fecosr.audit.empirical.sabotage import BROKEN, Fault, as_it_is
from fecosr.audit.empirical.terms import Effort, Terms, new_plan, plan_of_run, terms_of
from fecosr.audit.empirical.verdict import Verdict
from fecosr.cli.progress import progress_through
from fecosr.config.exits import DONE, FAILED
from fecosr.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Own:
    """Hold terms of one's own as the command line says them; None: the usual one."""

    epsilon: float | None = None
    delta: float | None = None
    rounds: int | None = None
    sampling_probability: float | None = None


def print_empirical_audit(
    run_folder: Path | None,
    own: Own,
    effort: tuple[int, int, int, int],
    broken: Fault | None,
    *,
    as_json: bool,
) -> int:
    """Audit, print, and return the exit code."""
    invested = Effort(*effort)
    terms = _terms(run_folder, own, invested)
    with progress_through("auditing") as advance:
        verdict = audit_empirically(terms, invested, BROKEN[broken] if broken else as_it_is, advance=advance)
    if as_json:
        typer.echo(json.dumps({**verdict.as_json(), "broken": broken}, indent=2))
    else:
        _print_verdict(verdict, broken)
    return DONE if verdict.holds else FAILED


def _terms(run_folder: Path | None, own: Own, effort: Effort) -> Terms:
    chosen = {name: value for name, value in asdict(own).items() if value is not None}
    if run_folder is None:
        usual = {"epsilon": 2.0, "delta": 1e-5, "rounds": 16, "sampling_probability": 0.5}
        return terms_of(new_plan(**{**usual, **chosen}, effort=effort))
    if chosen:
        raise ConfigError(
            f"the plan of {run_folder} says {', '.join(sorted(chosen))}", remedy="leave out one or the other"
        )
    return terms_of(plan_of_run(run_folder))


def _print_verdict(verdict: Verdict, broken: Fault | None) -> None:
    console = Console(highlight=False)
    for line in _introduction(verdict, broken):
        console.print(line, markup=False, soft_wrap=True)
    table = Table("", "measured", "claimed", "", box=SIMPLE_HEAD)
    for attack in verdict.attacks:
        table.add_row(
            attack.title,
            f"epsilon at least {attack.epsilon:.2f}",
            f"{attack.claimed:.2f}",
            _word(holds=not attack.refutes),
        )
    influence, noise = verdict.influence, verdict.noise
    table.add_row(
        "Most that one user changes a sum",
        f"{influence.share_of_clip_norm:.4f} clip_norm",
        "at most 1",
        _word(holds=influence.share_of_clip_norm <= 1.0),
    )
    table.add_row(
        "Noise in a sum",
        f"{noise.measured:.3f} of what is due",
        "1",
        _word(holds=noise.at_most >= 1.0),
    )
    console.print(table)
    for line in _conclusion(verdict):
        console.print(line, markup=False, soft_wrap=True)


def _introduction(verdict: Verdict, broken: Fault | None) -> Iterator[str]:
    terms, claim = verdict.terms, verdict.claim
    yield (
        f"Claimed: epsilon {claim.epsilon:.2f} at delta {claim.delta:g} for every user, against the "
        f"coordinator and {terms['colluding']} of {terms['markets']} markets."
    )
    yield (
        f"{terms['rounds']} rounds, sampling probability {terms['sampling_probability']}, noise multiplier "
        f"{verdict.terms['noise_multiplier']:.3g}, {terms['num_parameters']} parameters, "
        f"{terms['canaries']} canaries, seed {terms['seed']}."
    )
    if broken:
        yield f"The training is broken on purpose: {broken}."


def _conclusion(verdict: Verdict) -> Iterator[str]:
    if verdict.guesses is not None:
        guesses = verdict.guesses
        yield f"{guesses.num_correct} of {guesses.num_guesses} coins guessed right; luck guesses a half."
    yield (
        "In one run as this one, an ideal attack would notice noise of half the standard deviation in "
        f"{verdict.power.half_noise:.0%} of cases, of a quarter in {verdict.power.quarter_noise:.0%}."
    )
    yield from verdict.findings
    yield (
        "Nothing contradicts the claim. That is no proof: attacks bound epsilon from below."
        if verdict.holds
        else "The claim does not hold."
    )


def _word(*, holds: bool) -> str:
    return "[green]holds[/green]" if holds else "[red]REFUTED[/red]"
