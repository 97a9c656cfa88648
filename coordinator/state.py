"""What the coordinator keeps, its ledger and what that names, and how it finds its place again."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from fecosr.errors import ConfigError, StorageError
from fecosr.federation.coordinator import CoordinatorTransition, open_run, resume_run
from fecosr.federation.effects import (
    CoordinatorRecord,
    CountersignatureStored,
    EvidenceStored,
    ModelStored,
    OptimiserStateStored,
    SketchStored,
    SumStored,
)
from fecosr.federation.progress import CoordinatorSetup
from fecosr.federation.replay import Kept, Replayed, best_model, replay
from fecosr.ledger.log import Entry
from fecosr.ledger.records import RoundReleased, RunOpened
from fecosr.storage.archive import Archive
from fecosr.storage.countersignature_store import CountersignatureStore
from fecosr.storage.evidence import EVIDENCE_FOLDER, EvidenceStore
from fecosr.storage.ledger_store import LedgerStore
from fecosr.storage.optimiser_states import OptimiserStateStore
from fecosr.storage.parameters import ModelStore, Parameters, read_parameters
from fecosr.storage.sums import SumStore
from fecosr.storage.uploads import UploadSpool

LEDGER_FILE = "ledger.jsonl"
MODELS_FOLDER = "models"
OPTIMISER_FOLDER = "optimiser"
SUMS_FOLDER = "sums"
SKETCH_FOLDER = "sketch"
UPLOADS_FOLDER = "uploads"


class CoordinatorState:
    """Own what a coordinator keeps.

    Args:
        archive: what has to outlast this process.
        spool: a folder of this machine for what is arriving, and dies with the process.
        setup: what the coordinator was provisioned with.

    Raises:
        ConfigError: there cannot be such a folder.
        StorageError: another coordinator uses the archive, or what stands in it is damaged.
        LedgerError: the ledger does not verify.
    """

    def __init__(self, archive: Archive, spool: Path, setup: CoordinatorSetup) -> None:
        self._setup = setup
        self._ledger = LedgerStore(archive.lines(LEDGER_FILE), setup.plan.run, setup.key.public)
        self._models = ModelStore(archive.files(MODELS_FOLDER))
        self._optimiser_states = OptimiserStateStore(archive.files(OPTIMISER_FOLDER))
        self._sums = SumStore(archive.files(SUMS_FOLDER))
        self._evidence = EvidenceStore(archive.files(EVIDENCE_FOLDER))
        self._sketches = ModelStore(archive.files(SKETCH_FOLDER)) if setup.plan.sketch else None
        self._countersignatures = CountersignatureStore(archive.files())
        self.uploads = UploadSpool(spool, len(setup.roster.nodes))

    def begin(self, initial_model: Path) -> Callable[[float], CoordinatorTransition]:
        """Return what opens the run, or what goes on with it where the ledger stopped.

        Raises:
            ConfigError: the kit has no usable initial model, or another plan or roster than the run was begun
                with.
            StorageError: the file of the model or of the optimiser's state is missing or damaged.
        """
        entries = self._ledger.entries
        if not entries:
            parameters = _initial(initial_model)
            return lambda now: open_run(self._setup, parameters, now)
        opened = entries[0].body
        if not isinstance(opened, RunOpened):
            raise StorageError("the ledger does not begin by opening a run")
        self._check_unchanged(opened)
        replayed = replay(entries, self._setup.key.public)
        kept = self._kept(replayed)
        return lambda now: resume_run(self._setup, replayed, kept, now)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Return what the ledger holds."""
        return self._ledger.entries

    def persist(self, record: CoordinatorRecord) -> None:
        """Store one record; it lasts when this returns."""
        match record:
            case ModelStored(model_hash=named, parameters=parameters):
                self._models.save(named, parameters, {"run": self._setup.plan.run})
            case OptimiserStateStored(state_hash=named, state=state):
                _require_same(named, self._optimiser_states.save(state))
            case SumStored(sum_hash=named, total=total):
                self._sums.save(named, total)
            case EvidenceStored(evidence_hash=named, content=content):
                self._evidence.save(named, content)
            case SketchStored(sketch_hash=named, sketch=sketch):
                self._sketch_store().save(named, sketch, {"run": self._setup.plan.run})
            case CountersignatureStored(statement=statement):
                self._countersignatures.keep(statement)
            case entry:
                self._append(entry)

    def _append(self, entry: Entry) -> None:
        self._ledger.append(entry)
        if isinstance(entry.body, RoundReleased):
            self._optimiser_states.forget_all_but(entry.body.optimiser_state)

    def _kept(self, replayed: Replayed) -> Kept:
        parameters = self._models.load(replayed.model_hash)
        named = replayed.sketch_hash
        sketch = None if named is None else self._sketch_store().load(named)
        if not replayed.released:
            return Kept(parameters, self._setup.plan.server.init(len(parameters)), sketch=sketch)
        best = best_model(self._setup.plan, replayed)
        state = self._optimiser_states.load(replayed.optimiser_state)
        return Kept(parameters, state, None if best is None else self._models.load(best), sketch)

    def _sketch_store(self) -> ModelStore:
        if self._sketches is None:
            raise StorageError("the ledger names a sketch, and the plan has none")
        return self._sketches

    def _check_unchanged(self, opened: RunOpened) -> None:
        if opened.plan_hash != self._setup.plan.hash():
            raise ConfigError(
                "the plan differs from the one this run was begun with",
                remedy="restore plan.toml, or start a new run with another name and an empty storage folder",
            )
        if dict(opened.roster) != dict(self._setup.roster.nodes):
            raise ConfigError(
                "the roster differs from the one this run was begun with",
                remedy="restore roster.toml, or start a new run",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.uploads.discard_all()
        self._ledger.close()


def _require_same(named: bytes, stored: bytes) -> None:
    if named != stored:
        raise StorageError("something was stored under another hash than its own")


def _initial(path: Path) -> Parameters:
    try:
        return read_parameters(path)
    except StorageError as error:
        raise ConfigError(str(error), remedy="restore it from the kit") from None
