"""`fecosr preflight`: print what the checks of a kit find, and turn it into an exit code."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fecosr.config.clock import utc_now
from fecosr.config.exits import DONE, FAILED
from fecosr.provisioning.fingerprints import parse_fingerprint
from fecosr.provisioning.preflight.findings import Finding, Level
from fecosr.provisioning.preflight.run import holds, preflight

_STYLES: Final = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILURE: "bold red"}


def print_preflight(kit: Path, plan_hash: str | None, *, as_json: bool) -> int:
    """Look a kit over, print the findings, and return the exit code."""
    expected = None if plan_hash is None else parse_fingerprint(plan_hash, "--plan-hash")
    findings = _collected(preflight(kit, utc_now(), expected))
    if as_json:
        report = {"kit": str(kit), "ok": holds(findings), "findings": [one.as_json() for one in findings]}
        typer.echo(json.dumps(report, indent=2))
    else:
        _print(findings)
    return DONE if holds(findings) else FAILED


def _collected(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings; meanwhile say on a terminal what was looked at last."""
    console = Console(file=sys.stderr)
    with console.status("looking at the kit") as status:
        findings = []
        for finding in found:
            status.update(f"{finding.check}: {escape(finding.message)}")
            findings.append(finding)
    return findings


def _print(findings: list[Finding]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for style in ("bold", "", ""):
        table.add_column(style=style, overflow="fold")
    for finding in findings:
        level = f"[{_STYLES[finding.level]}]{finding.level}[/]"
        todo = f"\n[bold]to do:[/] {escape(finding.remedy)}" if finding.remedy else ""
        table.add_row(finding.check, level, escape(finding.message) + todo)
    console = Console(highlight=False)
    console.print(table)
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    console.print(
        f"\n{counts[Level.OK]} ok, {counts[Level.WARNING]} to look at, {counts[Level.FAILURE]} in the way"
    )
