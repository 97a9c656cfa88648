"""Look at the storage folder: whether it can be written, keeps its promises, has room, and who uses it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fecosr.config.parties import load_roster
from fecosr.config.plan import Plan, load_plan
from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR
from fecosr.provisioning.preflight.findings import Finding, failure, ok, warning
from fecosr.provisioning.preflight.kit import Kit
from fecosr.storage.atomic_files import make_folder
from fecosr.storage.inspection import is_held

LOCK_FILES: Final = ("ledger.jsonl.lock", "node.sqlite.lock")
SLOW_SECONDS: Final = 0.5
PROBE_BYTES: Final = 1 << 20
SPARE_BYTES: Final = 64 << 20
NETWORK_FILE_SYSTEMS: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph"})
VOLATILE_FILE_SYSTEMS: Final = frozenset({"tmpfs", "ramfs"})


def check_storage(kit: Kit) -> Iterator[Finding]:
    """Check the storage folder; it is made when it is not there, and left as it was otherwise."""
    folder = kit.config.storage
    make_folder(folder)
    seconds = _write_durably(folder)
    if seconds > SLOW_SECONDS:
        remedy = "choose a local disk: every phase of a round waits for it several times"
        yield warning("storage", f"{folder}: storing 1 MiB durably took {seconds:.1f} s", remedy)
    else:
        yield ok("storage", f"{folder}: 1 MiB was stored durably in {seconds * 1000:.0f} ms")
    yield from _check_kind(folder)
    yield from _check_room(kit, folder)
    if in_use(kit):
        message = f"{folder}: in use by a process that runs with this kit"
        yield warning("storage", message, "stop it first if it is not meant to run")


def in_use(kit: Kit) -> bool:
    """Return whether a process holds the storage folder; nothing is changed by asking."""
    return any(is_held(kit.config.storage / name) for name in LOCK_FILES)


def file_system_of(folder: Path, mounts: str) -> str:
    """Return the type of the file system that `folder` is on, by the lines of /proc/self/mounts."""
    found = ("", "")
    for line in mounts.splitlines():
        point, kind = line.split(" ")[1:3]
        point = point.replace("\\040", " ")
        if folder.is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]


def needed_bytes(plan: Plan, model_bytes: int, num_markets: int, *, is_coordinator: bool) -> int:
    """Return how much room a whole run takes, generously: what each round leaves, and what is under way.

    The coordinator keeps model, opened sum and optimiser state of every round, and spools one vector for each
    market; a node keeps a few models.
    """
    if is_coordinator:
        return model_bytes * (3 * plan.run.rounds + num_markets) + SPARE_BYTES
    return model_bytes * 4 + SPARE_BYTES


def _check_kind(folder: Path) -> Iterator[Finding]:
    try:
        kind = file_system_of(folder.resolve(), Path("/proc/self/mounts").read_text(encoding="utf-8"))
    except OSError:
        return
    if kind in NETWORK_FILE_SYSTEMS:
        remedy = "choose a local disk: locks and SQLite's write-ahead log are not reliable there"
        yield failure("storage", f"{folder}: is on a network file system ({kind})", remedy)
    elif kind in VOLATILE_FILE_SYSTEMS:
        remedy = "choose a disk: a node that forgets what it signed cannot protect itself"
        yield warning("storage", f"{folder}: is in memory ({kind}) and is lost at a power cut", remedy)


def _check_room(kit: Kit, folder: Path) -> Iterator[Finding]:
    plan, markets = load_plan(kit.config.plan), load_roster(kit.config.roster).nodes
    model_bytes = _model_bytes(kit, plan)
    needed = needed_bytes(plan, model_bytes, len(markets), is_coordinator=kit.party == COORDINATOR)
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    said = f"{free / 2**20:.0f} MiB free, a whole run takes about {needed / 2**20:.0f} MiB"
    if free < needed:
        yield failure("space", said, f"free some space under {folder}, or name another storage folder")
    else:
        yield ok("space", said)


def _model_bytes(kit: Kit, plan: Plan) -> int:
    initial = kit.folder / "initial_model.safetensors"
    if kit.party == COORDINATOR and initial.exists():
        return initial.stat().st_size
    encoder, dimension = plan.encoder, plan.semantics.dimension
    # Projector and blocks, rounded up; no model is made for an estimate.
    width = encoder.dimension
    block = 4 * width * width + 2 * width * encoder.feed_forward_dimension + 16 * width
    projector = (dimension + width) * encoder.projector_dimension
    return 4 * (encoder.num_blocks * block + projector + 4096 * width)


def _write_durably(folder: Path) -> float:
    """Return how many seconds it took to store a file the way everything of ours is stored."""
    probe = folder / f".preflight.{os.getpid()}"
    begin = time.perf_counter()
    try:
        with probe.open("xb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        return time.perf_counter() - begin
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}",
            remedy="make it writable for this user, or name another storage folder",
            source=str(folder),
        ) from None
    finally:
        probe.unlink(missing_ok=True)
