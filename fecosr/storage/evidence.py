"""Evidence of convictions as it is kept: canonical JSON files, named by the hash in the ledger."""

from pathlib import Path
from typing import Final

from fecosr.storage.archive import Files

EVIDENCE_FOLDER: Final = "evidence"
"""Beside the ledger that names what is in it."""


class EvidenceStore:
    """Keep the evidence of every conviction of a run in `files` under its own hash."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def save(self, digest: bytes, content: bytes) -> None:
        """Store a file of evidence under its hash; it lasts when this returns.

        Raises:
            StorageError: it could not be stored.
        """
        self._files.write(_name(digest), content)


def evidence_path(folder: Path, digest: bytes) -> Path:
    """Return where the evidence with this hash stands in `folder`, or would."""
    return folder / _name(digest)


def _name(digest: bytes) -> str:
    return f"{digest.hex()}.json"
