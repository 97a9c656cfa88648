"""What a market node keeps on disk about the run; its session secrets are never among it."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from fecosr.errors import StorageError
from fecosr.federation.aggregation import Vector, parameters_hash
from fecosr.federation.cohort import Roster
from fecosr.federation.effects import (
    AttemptClaimed,
    CheckpointKept,
    NodeRecord,
    ReleaseSeen,
    SketchSeen,
    SumOpened,
)
from fecosr.federation.memory import Memory
from fecosr.federation.messages import Release
from fecosr.ids import NodeId, RunId
from fecosr.privacy.budget import Charged, TakenBack
from fecosr.secagg.client import SurvivorsSigned
from fecosr.storage.archive import FolderFiles
from fecosr.storage.atomic_files import make_folder
from fecosr.storage.checkpoint_store import CHECKPOINTS_FILE, CheckpointStore
from fecosr.storage.parameters import ModelStore
from fecosr.storage.run_store import RunStore
from fecosr.storage.spending_store import SPENDING_FILE, SpendingStore

STATE_FILE: Final = "node.sqlite"
REPORT_FILE: Final = "report.json"
MODELS_FOLDER: Final = "models"
VECTORS_FOLDER: Final = "vectors"
SKETCH_FOLDER: Final = "sketch"
_FINAL_MODEL: Final = "final_model"
_MODELS: Final = "models"
_RELEASES: Final = "releases"
_SKETCH: Final = "sketch"
_SUM_OPENED: Final = "sum_opened"
_SURVIVORS_SIGNED: Final = "survivors_signed"


class NodeState:
    """Own the folder of one market node.

    Args:
        folder: made when it is not there.
        run: the run it takes part in.
        roster: the pinned identities, of which two sign every head of the ledger.
        market: whose folder it is.

    Raises:
        ConfigError: there cannot be such a folder.
        StorageError: another process uses the folder, or what stands in it is damaged or of another run.
        LedgerError: a checkpoint kept earlier does not verify.
    """

    def __init__(self, folder: Path, run: RunId, roster: Roster, market: NodeId) -> None:
        make_folder(folder)
        self._store = RunStore(folder / STATE_FILE, run)
        self._checkpoints = CheckpointStore(
            folder / CHECKPOINTS_FILE, run, roster.coordinator, market=market, identity=roster.nodes[market]
        )
        self._spending = SpendingStore(folder / SPENDING_FILE)
        self._models = ModelStore(FolderFiles(folder / MODELS_FOLDER))
        self._sketches = ModelStore(FolderFiles(folder / SKETCH_FOLDER))

    def memory(self) -> Memory:
        """Return what the node remembers after a start."""
        opened = self._store.get(_SUM_OPENED)
        return Memory(
            claimed=self._store.latest(),
            models=_models_from(self._store.get(_MODELS) or {}),
            releases=_releases_from(self._store.get(_RELEASES) or {}),
            sketch=self._sketch_hash(),
            opened=_opened_from(opened) if opened else None,
            head=self._checkpoints.latest,
            spending=self._spending.spending,
        )

    def final_model(self) -> Vector | None:
        """Return the final shared parameters, when the run is over for this node."""
        digest = self._store.get(_FINAL_MODEL)
        return self._models.load(bytes.fromhex(digest)) if isinstance(digest, str) else None

    def sketch(self) -> Vector:
        """Return the sum of sketches that the run's semantic vectors are made of.

        Raises:
            StorageError: it was never fetched, or is damaged.
        """
        digest = self._sketch_hash()
        if digest is None:
            raise StorageError("the sum of the markets' sketches is not here yet")
        return self._sketches.load(digest)

    def has_sketch(self, sketch_hash: bytes) -> bool:
        """Return whether the sum of sketches with this hash is stored."""
        return sketch_hash in self._sketches

    def keep_sketch(self, sketch_hash: bytes, sketch: Vector) -> None:
        """Store the sum of sketches, whose hash was verified."""
        self._sketches.save(sketch_hash, sketch, {})

    def _sketch_hash(self) -> bytes | None:
        digest = self._store.get(_SKETCH)
        return bytes.fromhex(digest) if isinstance(digest, str) else None

    def keep_final_model(self, parameters: Vector) -> None:
        """Store the final shared parameters, float32 [P]."""
        digest = parameters_hash(parameters)
        self._models.save(digest, parameters, {})
        self._store.put(_FINAL_MODEL, digest.hex())

    def persist(self, record: NodeRecord) -> None:
        """Store one record; it is on the disk when this returns.

        Raises:
            ProtocolViolation: the attempt is not newer than every one claimed before.
            LedgerError: the head is not signed by coordinator and market, or no longer than the last.
            StorageError: the disk refused.
        """
        match record:
            case AttemptClaimed(round=number, attempt=attempt, model_hash=model_hash):
                models = {**_models_from(self._store.get(_MODELS) or {}), number: model_hash}
                self._store.claim(number, attempt, **{_MODELS: _models_to(models)})
            case Charged() | TakenBack():
                self._spending.append(record)
            case CheckpointKept(kept=kept):
                self._checkpoints.keep(kept)
            case ReleaseSeen(round=number, release=release):
                seen = {**_releases_from(self._store.get(_RELEASES) or {}), number: release}
                self._store.put(_RELEASES, _releases_to(seen))
            case SketchSeen(sketch_hash=sketch_hash):
                self._store.put(_SKETCH, sketch_hash.hex())
            case SurvivorsSigned(session=session, survivors=survivors):
                self._store.put(_SURVIVORS_SIGNED, {"session": session.hex(), "survivors": survivors})
            case SumOpened(model_hash=model_hash, survivors=survivors):
                self._store.put(_SUM_OPENED, {"model_hash": model_hash.hex(), "survivors": survivors})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spending.close()
        self._checkpoints.close()
        self._store.close()


def _models_to(models: Mapping[int, bytes]) -> dict[str, str]:
    return {str(number): model_hash.hex() for number, model_hash in models.items()}


def _models_from(value: object) -> dict[int, bytes]:
    match value:
        case dict():
            return {int(number): bytes.fromhex(model_hash) for number, model_hash in value.items()}
        case _:
            raise StorageError("the record of the models of earlier rounds is damaged")


def _releases_to(releases: Mapping[int, Release]) -> dict[str, list[str | None]]:
    return {
        str(number): [release.model_hash.hex(), None if (v := release.validation) is None else v.hex()]
        for number, release in releases.items()
    }


def _releases_from(value: object) -> dict[int, Release]:
    releases: dict[int, Release] = {}
    for number, release in _items(value):
        match release:
            case [str(model_hash), None]:
                releases[int(number)] = Release(bytes.fromhex(model_hash), None)
            case [str(model_hash), str(validation)]:
                releases[int(number)] = Release(bytes.fromhex(model_hash), float.fromhex(validation))
            case _:
                raise StorageError("the record of the releases of earlier rounds is damaged")
    return releases


def _items(value: object) -> list[tuple[str, object]]:
    if not isinstance(value, dict):
        raise StorageError("the record of the releases of earlier rounds is damaged")
    return list(value.items())


def _opened_from(value: object) -> SumOpened:
    match value:
        case {"model_hash": str(model_hash), "survivors": [*survivors]}:
            return SumOpened(bytes.fromhex(model_hash), tuple(NodeId(str(name)) for name in survivors))
        case _:
            raise StorageError("the record of the last opened sum is damaged")
