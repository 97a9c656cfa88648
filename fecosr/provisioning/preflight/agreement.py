"""Look at what must be the same everywhere or for the whole of a run: plan, roster, policy, earlier state."""

from collections.abc import Iterator
from pathlib import Path

from fecosr.config.parties import NodeConfig, load_roster
from fecosr.config.plan import load_plan
from fecosr.crypto.labels import HASH_BYTES
from fecosr.errors import LedgerError, ProtocolViolation
from fecosr.federation.messages import RoundManifest
from fecosr.ledger.log import decode_entry
from fecosr.ledger.records import RunOpened
from fecosr.provisioning.preflight.findings import Finding, failure, ok
from fecosr.provisioning.preflight.kit import Kit
from fecosr.storage.inspection import LEDGER_FILE, node_run


def check_plan(kit: Kit) -> Iterator[Finding]:
    """Check that there are markets enough, and that the plan is the one the others have."""
    plan, roster = load_plan(kit.config.plan), load_roster(kit.config.roster)
    if len(roster.nodes) < plan.cohort.n_min:
        message = f"needs {plan.cohort.n_min} markets, the roster has {len(roster.nodes)}"
        yield failure("plan", message, "ask the owner of the federation for a new package")
    said = f"run {plan.run.name} has the hash {plan.hash().hex()}"
    if kit.expected_plan is None:
        yield ok("plan", f"{said}; compare it with the other parties'")
    elif kit.expected_plan == plan.hash():
        yield ok("plan", f"{said}, as it should")
    else:
        remedy = "one of the two parties holds an older package: accept the newest"
        yield failure("plan", f"{said}, which is not the one that was given", remedy)


def check_policy(kit: Kit) -> Iterator[Finding]:
    """Check that this market's own policy lets it take part in the whole of the planned run."""
    if not isinstance(kit.config, NodeConfig):
        return
    plan, roster = load_plan(kit.config.plan).federation(), load_roster(kit.config.roster)
    last = RoundManifest(
        run=plan.run,
        round=plan.rounds,
        attempt=1,
        plan_hash=plan.hash(),
        model_hash=bytes(HASH_BYTES),
        num_parameters=1,
        clip_norm=plan.clip_norm,
        num_summands=len(roster.nodes),
        n_min=plan.n_min,
        max_colluding=plan.max_colluding,
        ring_bits=plan.ring_bits,
        ledger_size=1,
        ledger_root=bytes(HASH_BYTES),
    )
    try:
        kit.config.policy.check(last, releases_validation=plan.releases_validation)
        kit.config.policy.check_privacy(plan.privacy)
    except ProtocolViolation as violation:
        remedy = "change [policy] in node.toml if the market agrees, or have the plan changed"
        yield failure("policy", f"this market would refuse the plan: {violation.rule}", remedy)
    else:
        yield ok("policy", f"accepts all {plan.rounds} rounds of the plan")


def check_earlier_state(kit: Kit) -> Iterator[Finding]:
    """Check that what an earlier start left in the storage folder is of this run, plan and roster."""
    folder, plan = kit.config.storage, load_plan(kit.config.plan)
    again = "restore the kit of that run, or name another storage folder for the new one"
    opened = _opened(folder / LEDGER_FILE)
    run = opened.run if opened else node_run(folder)
    if run is None:
        yield ok("state", f"{folder}: empty, a new run begins")
    elif run != plan.run.name:
        yield failure("state", f"{folder}: holds run {run}, the plan is of {plan.run.name}", again)
    elif opened and opened.plan_hash != plan.hash():
        yield failure("state", f"{folder}: run {run} was begun with another plan", again)
    elif opened and dict(opened.roster) != dict(load_roster(kit.config.roster).nodes):
        yield failure("state", f"{folder}: run {run} was begun with another roster", again)
    else:
        yield ok("state", f"{folder}: goes on with run {run}")


def _opened(ledger: Path) -> RunOpened | None:
    """Return what a ledger opens, or None when it opens nothing yet."""
    try:
        first, newline, _ = ledger.read_bytes().partition(b"\n")
    except OSError:
        return None
    if not newline:
        return None
    body = decode_entry(first, 0).body
    if not isinstance(body, RunOpened):
        raise LedgerError(0, "run_opened", "the first record does not open a run")
    return body
