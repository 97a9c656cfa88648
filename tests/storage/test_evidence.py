from pathlib import Path

import pytest

from fecosr.crypto.labels import sha256
from fecosr.errors import ConfigError
from fecosr.storage.archive import FolderFiles
from fecosr.storage.evidence import EvidenceStore, evidence_path


def test_evidence_is_kept_under_its_hash(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    digest = sha256(b"{}")
    EvidenceStore(FolderFiles(folder)).save(digest, b"{}")
    assert evidence_path(folder, digest).read_bytes() == b"{}"
    assert [path.name for path in folder.iterdir()] == [f"{digest.hex()}.json"]


def test_what_a_crash_left_unfinished_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".abc.json.77.partial").write_bytes(b"{")
    FolderFiles(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_bytes(b"")
    with pytest.raises(ConfigError, match="evidence"):
        FolderFiles(tmp_path / "evidence")
