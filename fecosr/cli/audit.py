"""`fecosr audit`: print what an audit came to and turn it into an exit code."""

import json
from pathlib import Path

import typer

from fecosr.audit.report import render
from fecosr.audit.verification import audit_run
from fecosr.storage.atomic_files import write_json


def print_audit(run_folder: Path, roster: Path | None, out: Path | None, *, as_json: bool) -> int:
    """Audit a run folder, print the report, write it to `out` if that is given, and return the exit code."""
    report = audit_run(run_folder, roster)
    if out is not None:
        write_json(out, report.as_json())
    typer.echo(json.dumps(report.as_json(), indent=2) if as_json else render(report))
    return report.status.exit_code
