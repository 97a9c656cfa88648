"""What a market node remembers between sessions, what of it survives a crash, and what it was charged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fecosr.federation.contribution import LocalUpdate, NodeSetup
from fecosr.federation.effects import (
    AttemptClaimed,
    CheckpointKept,
    NodeRecord,
    ReleaseSeen,
    SketchSeen,
    SumOpened,
)
from fecosr.federation.messages import Release, RoundManifest
from fecosr.federation.private_rounds import NoisyUpdate
from fecosr.federation.sketch import SketchContribution
from fecosr.federation.spending import charge_attempt
from fecosr.ledger.countersignature import KeptHead
from fecosr.privacy.budget import BudgetRecord, Charged, Spending, TakenBack
from fecosr.secagg.client import SurvivorsSigned


@dataclass(frozen=True, slots=True)
class Memory:
    """Hold what a node remembers between sessions.

    Attributes:
        claimed: the latest (round, attempt) it took part in.
        models: the model of every round it took part in.
        releases: what it was told of every round it saw the end of.
        sketch: hash of the sum of sketches it was told of; None before that, and without any.
        trained: the latest finished update or sketch.
        opened: the latest sum this node helped to open.
        head: the head of the ledger that it signed last.
        spending: what its users were charged, and what was taken back.
        unsent: the charge of the current attempt, as long as no masked vector has left for it; else empty.
    """

    claimed: tuple[int, int] = (0, 0)
    models: Mapping[int, bytes] = field(default_factory=dict)
    releases: Mapping[int, Release] = field(default_factory=dict)
    sketch: bytes | None = None
    trained: LocalUpdate | NoisyUpdate | SketchContribution | None = None
    opened: SumOpened | None = None
    head: KeptHead | None = None
    spending: Spending = field(default_factory=Spending)
    unsent: str = ""


def remembered(records: Iterable[NodeRecord]) -> Memory:
    """Return what a node remembers that stored these records before it started again.

    A charge whose fate it does not know stays in force: the vector may have left just before the crash.
    """
    memory = Memory()
    for record in records:
        match record:
            case AttemptClaimed(round=number, attempt=attempt, model_hash=model_hash):
                models = {**memory.models, number: model_hash}
                memory = replace(memory, claimed=(number, attempt), models=models)
            case ReleaseSeen(round=number, release=release):
                memory = replace(memory, releases={**memory.releases, number: release})
            case SketchSeen(sketch_hash=sketch_hash):
                memory = replace(memory, sketch=sketch_hash)
            case SumOpened():
                memory = replace(memory, opened=record)
            case Charged() | TakenBack():
                memory = replace(memory, spending=memory.spending.after(record))
            case CheckpointKept(kept=kept):
                memory = replace(memory, head=kept)
            case SurvivorsSigned():
                pass
    return memory


def charged(
    setup: NodeSetup, memory: Memory, manifest: RoundManifest
) -> tuple[Memory, tuple[BudgetRecord, ...]]:
    """Charge the users of this market for an attempt that is about to begin, before it is claimed."""
    memory, taken_back = take_back(memory)
    if setup.plan.privacy is None:
        return memory, taken_back
    booked = charge_attempt(setup.me, setup.plan.privacy, memory.spending, manifest, setup.accountants)
    spending = memory.spending.after(booked)
    return replace(memory, spending=spending, unsent=booked.charge.name), (*taken_back, booked)


def take_back(memory: Memory) -> tuple[Memory, tuple[BudgetRecord, ...]]:
    """Take the charge of an attempt back that ends before a masked vector has left for it."""
    if not memory.unsent:
        return memory, ()
    record = TakenBack(memory.unsent)
    return replace(memory, spending=memory.spending.after(record), unsent=""), (record,)
