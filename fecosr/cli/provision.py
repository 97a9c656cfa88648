"""`fecosr provision`: the one place where identities are drawn from the operating system's entropy."""

import secrets
from pathlib import Path

import typer

from fecosr.config.clock import utc_now
from fecosr.provisioning.federation_file import load_federation
from fecosr.provisioning.kits import AUTHORITY_FOLDER, provision


def write_kits(federation_file: Path, out: Path) -> None:
    """Write the kits of the federation described in `federation_file` and say what to do with them."""
    federation = load_federation(federation_file)
    kits = provision(
        federation.plan,
        federation.by_name(),
        out,
        coordinator=federation.coordinator,
        days=federation.certificate_days,
        now=utc_now(),
        entropy=secrets.token_bytes,
    )
    typer.echo(
        f"{out / AUTHORITY_FOLDER}: the certificate authority; keep it offline, its key makes new parties"
    )
    typer.echo(f"{kits.coordinator.parent}: start with fecosr-coordinator --config {kits.coordinator.name}")
    for node in kits.nodes.values():
        typer.echo(f"{node.parent}: start with fecosr-market-node --config {node.name}")
