"""`fecosr status`: where a run stands, read from what its parties keep on disk."""

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from fecosr.config.exits import DONE
from fecosr.config.parties import load_coordinator, load_node
from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR, NodeId
from fecosr.storage.inspection import (
    LEDGER_FILE,
    NODE_FILE,
    CoordinatorStatus,
    NodeStatus,
    inspect_coordinator,
    inspect_node,
)

HASH_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Hold what was found: a coordinator, markets, or both."""

    coordinator: CoordinatorStatus | None
    nodes: Mapping[NodeId, NodeStatus]


def print_status(folder: Path, *, as_json: bool) -> int:
    """Print where the run in `folder` stands, and return the exit code."""
    status = read_status(folder)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(status), indent=2, default=str))
    else:
        Console(highlight=False).print(_rendered(status))
    return DONE


def watch_status(folder: Path, every_seconds: float) -> int:
    """Show where the run in `folder` stands again and again until it is over; return the exit code."""
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            status = read_status(folder)
            live.update(_rendered(status), refresh=True)
            if _is_over(status):
                return DONE
            time.sleep(every_seconds)


def _is_over(status: RunStatus) -> bool:
    found = status.coordinator
    is_ended = found is None or (found.state in {"completed", "aborted"} and not found.running)
    return is_ended and not any(node.running for node in status.nodes.values())


def read_status(folder: Path) -> RunStatus:
    """Return where the run stands whose folder, or one party's kit or storage folder, this is.

    Raises:
        ConfigError: there is no party's state here.
        StorageError: it cannot be read.
        LedgerError: the ledger does not verify.
    """
    storages = _storages(folder)
    ledger = storages.pop(COORDINATOR, None)
    coordinator = inspect_coordinator(ledger) if ledger else None
    nodes = {name: inspect_node(storage) for name, storage in storages.items()}
    if coordinator is None and not nodes:
        raise ConfigError(
            "no run has begun here",
            remedy="name a run folder, a kit, or a storage folder",
            source=str(folder),
        )
    return RunStatus(coordinator, nodes)


def _storages(folder: Path) -> dict[NodeId, Path]:
    """Return the storage folders of the parties that can be found from `folder`, by party."""
    if (folder / "coordinator.toml").is_file():
        config = load_coordinator(folder / "coordinator.toml")
        if config.database is not None:
            raise ConfigError(
                "this run is kept in a database",
                remedy=f"fecosr fetch-run {folder} --out RUN_DIR, then fecosr status RUN_DIR",
                source=str(folder),
            )
        return _storages(config.storage)
    if (folder / "node.toml").is_file():
        node = load_node(folder / "node.toml")
        return {NodeId(node.market): node.storage} if (node.storage / NODE_FILE).is_file() else {}
    if (folder / LEDGER_FILE).is_file():
        return {COORDINATOR: folder}
    if (folder / NODE_FILE).is_file():
        return {NodeId(folder.name): folder}
    found: dict[NodeId, Path] = {}
    for child in _children(folder):
        if (child / LEDGER_FILE).is_file():
            found[COORDINATOR] = child
        elif (child / NODE_FILE).is_file():
            found[NodeId(child.name)] = child
    return found


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(folder)) from None


def _rendered(status: RunStatus) -> Group:
    markets = {
        **(status.coordinator.markets if status.coordinator else {}),
        **dict.fromkeys(status.nodes, ""),
    }
    table = Table(box=None, pad_edge=False)
    for heading in ("market", "process", "claimed", "vouches for", "last seen as", "final model", "report"):
        table.add_column(heading, style="bold" if heading == "market" else "")
    for name in sorted(markets):
        said = status.coordinator.markets.get(name, "") if status.coordinator else ""
        table.add_row(name, *_node_cells(status.nodes.get(name), said))
    above = [] if status.coordinator is None else [_coordinator_table(status.coordinator)]
    return Group(*above, "", table)


def _coordinator_table(found: CoordinatorStatus) -> Table:
    of_rounds = f" of {found.rounds}" if found.rounds else ""
    rows = {
        "run": found.run,
        "coordinator": "running" if found.running else "not running",
        "state": {
            "waiting": "waiting for markets",
            "round": f"in a round: {found.phase}",
            "completed": "completed",
            "aborted": f"given up: {found.last_reason}",
        }[found.state],
        "round": f"{found.round}{of_rounds}" + (f", attempt {found.attempt}" if found.attempt else ""),
        "ledger": f"{found.records} records, {found.size_bytes} bytes, last written "
        f"{found.last_change:%Y-%m-%d %H:%M:%S} UTC",
        "last release": "none yet",
    }
    if found.released:
        model = found.released.model_hash[:HASH_SHOWN]
        names = ", ".join(found.released.survivors)
        rows["last release"] = f"round {found.released.round}, the sum of {names}; model {model}"
    if found.restarts:
        rows["restarts"] = str(found.restarts)
    if found.last_reason and found.state != "aborted":
        rows["last abort"] = found.last_reason
    for market, faults in found.convicted.items():
        rows[f"convicted: {market}"] = f"{', '.join(faults)}; left out while enough others are there"
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in rows.items():
        table.add_row(f"[bold]{name}[/]", value)
    return table


def _node_cells(found: NodeStatus | None, said: str) -> tuple[str, ...]:
    if found is None:
        return ("-", "-", "-", said or "-", "-", "-")
    claimed = f"round {found.round} attempt {found.attempt}" if found.round else "nothing yet"
    return (
        "running" if found.running else "not running",
        claimed,
        f"{found.vouched_records} records",
        said or "-",
        "stored" if found.has_final_model else "-",
        "written" if found.has_report else "-",
    )
