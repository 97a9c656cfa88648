"""Read what a party keeps on disk without owning it: nothing is locked for long, mended or written.

The party may be running meanwhile: what is half-written is not there yet.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fecosr.errors import LedgerError, StorageError
from fecosr.federation.replay import Replayed, replay
from fecosr.ids import NodeId
from fecosr.ledger.countersignature import decode_kept
from fecosr.ledger.log import Entry, decode_entry
from fecosr.ledger.records import (
    Body,
    CohortFixed,
    CoordinatorRestarted,
    NodeConvicted,
    RoundOpened,
    RoundReleased,
    RunOpened,
    SurvivorsFixed,
    UnmaskingBegun,
)
from fecosr.storage.checkpoint_store import CHECKPOINTS_FILE

LEDGER_FILE: Final = "ledger.jsonl"
NODE_FILE: Final = "node.sqlite"
REPORT_FILE: Final = "report.json"

_PHASES: Final[Mapping[type[Body], str]] = {
    RoundOpened: "training, advertise_keys",
    CohortFixed: "share_keys, masked_input",
    SurvivorsFixed: "consistency",
    UnmaskingBegun: "unmask",
}
"""What is under way after a record; the ledger does not tell the phases apart between two of its records."""


@dataclass(frozen=True, slots=True)
class LastRelease:
    """Name the round that was released last."""

    round: int
    survivors: tuple[NodeId, ...]
    model_hash: str


@dataclass(frozen=True, slots=True)
class CoordinatorStatus:
    """Say where a coordinator stands, as its ledger tells it.

    Attributes:
        run: the run's name.
        running: whether a process owns the folder.
        state: "waiting", "round", "completed" or "aborted".
        round: the round that is under way or next; the last one when the run is over.
        rounds: how many the plan has.
        attempt: at this round; 0 before the first.
        phase: what is under way in it; empty between rounds.
        markets: the roster, with what the last record about each says of it.
        records: the ledger's.
        size_bytes: the ledger's.
        last_change: when the ledger last grew.
        released: the last release; None before the first.
        restarts: how often the coordinator came back.
        last_reason: why the last attempt or the run was aborted; empty otherwise.
        convicted: markets that recorded evidence convicts, and of what; `fecosr audit` verifies it.
    """

    run: str
    running: bool
    state: str
    round: int
    rounds: int
    attempt: int
    phase: str
    markets: Mapping[NodeId, str]
    records: int
    size_bytes: int
    last_change: datetime
    released: LastRelease | None
    restarts: int
    last_reason: str
    convicted: Mapping[NodeId, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Say where a market node stands, as its own folder tells it.

    Attributes:
        run: the run's name.
        running: whether a process owns the folder.
        round: the newest round it took part in, 0 before the first; `attempt` likewise.
        checkpoints: how many heads of the ledger it signed and keeps.
        vouched_records: how many records of the ledger the newest of them covers.
        has_final_model: whether the federation is over for it.
        has_report: whether its own fine-tuning and evaluation are done.
    """

    run: str
    running: bool
    round: int
    attempt: int
    checkpoints: int
    vouched_records: int
    has_final_model: bool
    has_report: bool


def inspect_coordinator(folder: Path) -> CoordinatorStatus | None:
    """Return where the coordinator in `folder` stands, or None when its ledger opens no run yet.

    Raises:
        StorageError: the ledger cannot be read.
        LedgerError: it does not verify under the identity that it names itself; an audit says more.
    """
    path = folder / LEDGER_FILE
    data = _read(path)
    entries = [decode_entry(line, number) for number, line in enumerate(data.split(b"\n")[:-1])]
    if not entries:
        return None
    opened = entries[0].body
    if not isinstance(opened, RunOpened):
        raise LedgerError(0, "run_opened", "the first record does not open a run")
    replayed = replay(entries, opened.coordinator)
    last = next((entry.body for entry in reversed(entries) if type(entry.body) in _PHASES), None)
    is_open = bool(replayed.open_attempt)
    over = "aborted" if replayed.aborted else "completed"
    return CoordinatorStatus(
        run=opened.run,
        running=is_held(folder / f"{LEDGER_FILE}.lock"),
        state=over if replayed.ended else "round" if is_open else "waiting",
        round=_round_after(entries, replayed),
        rounds=_planned_rounds(opened),
        attempt=replayed.attempts,
        phase=_PHASES[type(last)] if is_open and last is not None else "",
        markets=_markets(opened, entries, is_open=is_open),
        records=len(entries),
        size_bytes=len(data),
        last_change=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        released=_last_release(entries),
        restarts=sum(isinstance(entry.body, CoordinatorRestarted) for entry in entries),
        last_reason=replayed.aborted or replayed.last_reason,
        convicted=_convicted(entries),
    )


def inspect_node(folder: Path) -> NodeStatus:
    """Return where the market node in `folder` stands.

    Raises:
        StorageError: its state cannot be read.
    """
    run, number, attempt, names = _node_values(folder / NODE_FILE)
    lines = []
    if (folder / CHECKPOINTS_FILE).exists():
        lines = _read(folder / CHECKPOINTS_FILE).split(b"\n")[:-1]
    return NodeStatus(
        run=run,
        running=is_held(folder / f"{NODE_FILE}.lock"),
        round=number,
        attempt=attempt,
        checkpoints=len(lines),
        vouched_records=decode_kept(lines[-1]).checkpoint.size if lines else 0,
        has_final_model="final_model" in names,
        has_report=(folder / REPORT_FILE).exists(),
    )


def node_run(folder: Path) -> str | None:
    """Return the run that the node's state in `folder` is of, or None when there is none.

    Raises:
        StorageError: its state cannot be read.
    """
    path = folder / NODE_FILE
    return _node_values(path)[0] if path.exists() else None


def is_held(lock_file: Path) -> bool:
    """Return whether a process holds an `OwnerLock` on `lock_file`; asking changes nothing."""
    try:
        descriptor = os.open(lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _markets(opened: RunOpened, entries: list[Entry], *, is_open: bool) -> dict[NodeId, str]:
    """Return what is known of every market in the attempt that is open, or else was last."""
    found = {NodeId(name): "not asked" for name in opened.roster}
    for entry in entries:
        match entry.body:
            case RoundOpened(expected=expected):
                found = {name: "asked" if name in expected else "not asked" for name in found}
            case CohortFixed(adverts=adverts):
                found |= {advert.client: "in the cohort" for advert in adverts}
            case SurvivorsFixed(survivors=survivors, dropouts=dropouts):
                found |= dict.fromkeys(survivors, "in the sum" if is_open else "was in the last sum")
                found |= {name: f"dropped out: {reason}" for name, reason in dropouts.items()}
            case _:
                pass
    return found


def _convicted(entries: list[Entry]) -> dict[NodeId, tuple[str, ...]]:
    found: dict[NodeId, tuple[str, ...]] = {}
    for entry in entries:
        match entry.body:
            case NodeConvicted(market=market, fault=fault) if fault not in found.get(market, ()):
                found[market] = (*found.get(market, ()), fault)
            case _:
                pass
    return found


def _round_after(entries: list[Entry], replayed: Replayed) -> int:
    """Return the round that is under way or next; the last one when the run is over."""
    opened = [entry.body.round for entry in entries if isinstance(entry.body, RoundOpened)]
    if opened == [0] * len(opened) and opened and replayed.sketch_hash is None:
        return 0
    return replayed.released + (not replayed.ended)


def _last_release(entries: list[Entry]) -> LastRelease | None:
    for entry in reversed(entries):
        if isinstance(entry.body, RoundReleased):
            return LastRelease(entry.body.round, entry.body.survivors, entry.body.model_out.hex())
    return None


def _planned_rounds(opened: RunOpened) -> int:
    match json.loads(opened.plan_json):
        case {"run": {"rounds": int(rounds)}}:
            return rounds
        case _:
            return 0


def _node_values(path: Path) -> tuple[str, int, int, frozenset[str]]:
    """Return run, round and attempt of the newest claim, and the names of the stored values."""
    # Without a write-ahead log nobody is writing, and SQLite can be told to leave no trace of the visit.
    quiet = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{quiet}", uri=True)
        try:
            marker = connection.execute("SELECT run, round, attempt FROM marker").fetchone()
            names = frozenset(str(name) for (name,) in connection.execute("SELECT name FROM value"))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StorageError(f"{path}: cannot be read: {error}") from None
    if marker is None:
        raise StorageError(f"{path}: is not a node's state")
    return str(marker[0]), int(marker[1]), int(marker[2]), names


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
