"""Check the model files of a run folder against the hashes in its ledger."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from fecosr.audit.findings import Finding, missing
from fecosr.errors import StorageError
from fecosr.federation.aggregation import parameters_hash
from fecosr.ledger.log import Entry
from fecosr.ledger.records import RoundReleased, RunOpened
from fecosr.storage.parameters import read_parameters


def check_models(
    folder: Path, entries: Sequence[Entry], num_parameters: int, final: bytes | None
) -> Iterator[Finding]:
    """Check every model of the run that is in `folder`, and that the final one is.

    Models of earlier rounds may have been deleted; those that are there must be what their names say.

    Args:
        folder: where the model files are.
        entries: the verified records.
        num_parameters: what every model of this run has.
        final: hash of the model that must be there; None when the ledger does not tell.
    """
    for digest, record in _hashes(entries).items():
        path = folder / f"{digest.hex()}.safetensors"
        if path.exists():
            yield from _check(path, digest, record, num_parameters)
        elif digest == final:
            yield missing("model_file", f"The final model, {path.name}, is not there.")


def _check(path: Path, digest: bytes, record: int, num_parameters: int) -> Iterator[Finding]:
    try:
        parameters = read_parameters(path)
    except StorageError:
        yield Finding(record, "model_file", f"{path.name} is damaged.")
        return
    if parameters_hash(parameters) != digest:
        yield Finding(record, "model_file", f"{path.name} holds another model than its name says.")
    elif len(parameters) != num_parameters:
        message = f"{path.name} has {len(parameters)} parameters, not {num_parameters}."
        yield Finding(record, "model_file", message)


def _hashes(entries: Sequence[Entry]) -> dict[bytes, int]:
    """Return the hash of every released model with the record that names it first."""
    hashes: dict[bytes, int] = {}
    for entry in entries:
        match entry.body:
            case RunOpened():
                hashes.setdefault(entry.body.initial_model_hash, entry.seq)
            case RoundReleased():
                hashes.setdefault(entry.body.model_out, entry.seq)
    return hashes
