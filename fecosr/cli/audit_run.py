"""`fecosr audit RUN_DIR`: print what an audit came to and turn it into an exit code."""

import json
from dataclasses import dataclass
from pathlib import Path

import typer

from fecosr.audit.page import page
from fecosr.audit.privacy_report import privacy_report
from fecosr.audit.report import render
from fecosr.audit.verification import audit_run
from fecosr.cli.progress import working
from fecosr.storage.atomic_files import write_bytes, write_json


@dataclass(frozen=True, slots=True)
class Wanted:
    """Say where to write what an audit came to; None: nowhere.

    Attributes:
        out: what `--json` prints.
        html: the report as a page.
        privacy_report: the report for programs.
    """

    out: Path | None = None
    html: Path | None = None
    privacy_report: Path | None = None


def print_audit(run_folder: Path, roster: Path | None, wanted: Wanted, *, as_json: bool) -> int:
    """Audit a run folder, print the report, write what is wanted besides, and return the exit code."""
    with working(f"auditing {run_folder}"):
        report = audit_run(run_folder, roster)
    if wanted.out is not None:
        write_json(wanted.out, report.as_json())
    if wanted.privacy_report is not None:
        write_json(wanted.privacy_report, privacy_report(report))
    if wanted.html is not None:
        write_bytes(wanted.html, page(report).encode())
    typer.echo(json.dumps(report.as_json(), indent=2) if as_json else render(report))
    return report.status.exit_code
