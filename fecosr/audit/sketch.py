"""Redo what the sketch round released: the sum of the markets' sketches, from the opened sum, bit by bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fecosr.audit.findings import Finding
from fecosr.errors import CryptoError, MisuseError, StorageError
from fecosr.federation.aggregation import parameters_hash, sum_hash
from fecosr.federation.recorded import manifest_from
from fecosr.federation.sketch import open_sketch
from fecosr.ledger.log import Entry
from fecosr.ledger.records import ManifestFields, RoundOpened, SketchReleased
from fecosr.storage.parameters import read_parameters
from fecosr.storage.sums import read_sum, sum_path

SKETCH_FOLDER: Final = "sketch"


@dataclass(frozen=True, slots=True)
class SketchCheck:
    """Say what redoing the sketch came to.

    Attributes:
        survivors: how many markets' sketches are in the released sum; 0: none was released.
        redone: whether the opened sum was there, so that it could be done.
        findings: what is not as recorded.
    """

    survivors: int = 0
    redone: bool = False
    findings: tuple[Finding, ...] = ()


def check_sketch_files(coordinator: Path, entries: Sequence[Entry]) -> SketchCheck:
    """Check the sum and the sketch in the coordinator's folder against the record that released them.

    Either may have been deleted after the run; what is there must be what the record says.
    """
    manifests: dict[tuple[int, int], ManifestFields] = {}
    for entry in entries:
        match entry.body:
            case RoundOpened() as opened:
                manifests[opened.round, opened.attempt] = opened.manifest
            case SketchReleased() as released if (released.round, released.attempt) in manifests:
                return _check(coordinator, entry.seq, released, manifests[released.round, released.attempt])
    return SketchCheck()


def _check(coordinator: Path, record: int, released: SketchReleased, manifest: ManifestFields) -> SketchCheck:
    redone, findings = _redo(coordinator, record, released, manifest)
    path = coordinator / SKETCH_FOLDER / f"{released.sketch_hash.hex()}.safetensors"
    if path.exists():
        findings += _check_file(path, record, released.sketch_hash)
    return SketchCheck(len(released.survivors), redone, tuple(findings))


def _check_file(path: Path, record: int, sketch_hash: bytes) -> list[Finding]:
    try:
        sketch = read_parameters(path)
    except StorageError:
        return [Finding(record, "sketch_file", f"The sketch {path.name} is damaged.")]
    if parameters_hash(sketch) != sketch_hash:
        return [Finding(record, "sketch_file", f"{path.name} holds another sketch than its name says.")]
    return []


def _redo(
    coordinator: Path, record: int, released: SketchReleased, manifest: ManifestFields
) -> tuple[bool, list[Finding]]:
    path = sum_path(coordinator / "sums", released.total_hash)
    if not path.exists():
        return False, []
    try:
        total = read_sum(path)
    except StorageError:
        return False, [Finding(record, "sum_file", f"The sum {path.name} is damaged.")]
    if sum_hash(total) != released.total_hash:
        return False, [Finding(record, "sum_file", f"{path.name} holds another sum than its name says.")]
    try:
        sketch = open_sketch(total, len(released.survivors), manifest_from(manifest))
    except (CryptoError, MisuseError) as error:
        message = f"The sum of the sketch round should not have been released: {error}."
        return False, [Finding(record, "sum", message)]
    if parameters_hash(sketch) != released.sketch_hash:
        return True, [Finding(record, "sketch", "The released sketch is not what its sum says.")]
    return True, []
