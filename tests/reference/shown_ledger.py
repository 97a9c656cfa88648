"""A ledger of a few lines that a coordinator may show, for tests of what a node makes of it."""

from dataclasses import replace

from fecosr.federation.messages import RoundManifest, RoundTask
from fecosr.ids import RunId
from fecosr.ledger.checkpoint import Growth, growth, sign_checkpoint
from fecosr.ledger.countersignature import KeptHead, countersign
from fecosr.ledger.log import Log, genesis
from tests.reference.small_federation import SmallFederation

SIZE = 5


def some_log(run: RunId, size: int = SIZE, history: str = "one") -> Log:
    """Return a log of `size` lines; those of other histories differ from the third on."""
    log = genesis(run)
    for number in range(size):
        told = history if number > 1 else ""
        log = log.with_line(f"record {number} {told}".encode())
    return log


def shown(
    federation: SmallFederation, size: int = SIZE, earlier: int | None = None, history: str = "one"
) -> Growth:
    """Return some log as it is shown to a node that knows `earlier` records, all of them if None."""
    log = some_log(federation.plan.run, size, history)
    return growth(log, size if earlier is None else earlier, federation.coordinator_key)


def known(federation: SmallFederation, name: str, size: int = SIZE) -> KeptHead:
    """Return the head of some log as a market keeps it."""
    me = federation.node(name)
    checkpoint = sign_checkpoint(some_log(federation.plan.run, size).head, federation.coordinator_key)
    return countersign(checkpoint, me.me, me.identity)


def signed_task(
    federation: SmallFederation, manifest: RoundManifest, told: Growth | None = None
) -> RoundTask:
    """Return the task with this manifest, made to name the ledger that is shown with it, signed."""
    told = told or shown(federation)
    manifest = replace(manifest, ledger_size=told.checkpoint.size, ledger_root=told.checkpoint.root)
    return RoundTask(manifest, federation.coordinator_key.sign(manifest.signed_bytes()), told)
