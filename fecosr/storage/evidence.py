"""Evidence of convictions on disk: canonical JSON files, named by the hash in the ledger."""

from pathlib import Path
from typing import Final

from fecosr.storage.atomic_files import make_folder, remove_partial_files, write_bytes

EVIDENCE_FOLDER: Final = "evidence"
"""Beside the ledger that names what is in it."""


class EvidenceStore:
    """Keep the evidence of every conviction of a run in `folder` under its own hash.

    Raises:
        ConfigError: there cannot be such a folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_folder(folder)
        remove_partial_files(folder)

    def save(self, digest: bytes, content: bytes) -> None:
        """Store a file of evidence under its hash; it is on the disk when this returns.

        Raises:
            StorageError: the disk refused.
        """
        write_bytes(evidence_path(self.folder, digest), content)


def evidence_path(folder: Path, digest: bytes) -> Path:
    """Return where the evidence with this hash stands in `folder`, or would."""
    return folder / f"{digest.hex()}.json"
