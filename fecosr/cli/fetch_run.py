"""`fecosr fetch-run`: a run folder made of what a database holds."""

import shutil
from pathlib import Path

import typer

from fecosr.cli.progress import progress_to
from fecosr.config.parties import load_coordinator
from fecosr.config.plan import load_plan
from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR, RunId


def write_run(kit: Path, out: Path) -> None:
    """Write the run of the coordinator's kit to the run folder `out`, and say what was written.

    Raises:
        ConfigError: the kit names no database, or `out` holds another run.
        StorageError: the database cannot be read.
    """
    path = kit / "coordinator.toml" if kit.is_dir() else kit
    config = load_coordinator(path)
    if config.database is None:
        raise ConfigError(
            "names no [database]: the run stands in its storage folder already",
            remedy=f"use {config.storage}",
            source=str(path),
        )
    from fecosr.storage.postgres_fetch import fetch_run

    run = RunId(load_plan(config.plan).run.name)
    folder = out / COORDINATOR
    with progress_to("files") as tell:
        fetched = fetch_run(config.database.url, config.database.password(), run, folder, tell)
    shutil.copyfile(config.roster, out / "roster.toml")
    typer.echo(
        f"{folder}: {fetched.records} records, {fetched.written} files written, {fetched.kept} there already"
    )
