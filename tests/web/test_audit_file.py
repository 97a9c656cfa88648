"""An audit that somebody puts beside a run."""

import json
import os
from pathlib import Path

import pytest

from fecosr.web.audit_file import MOST_BYTES, AuditFile


def test_the_newest_audit_is_read_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    audit = AuditFile(path)
    assert audit.newest() is None
    path.write_text(json.dumps({"verified": True, "rounds": 3, "findings": []}))
    os.utime(path, (100, 100))
    first = audit.newest()
    assert first is not None
    assert (first.verified, first.rounds, first.at) == (True, 3, 100)
    assert audit.newest() is first
    path.write_text(json.dumps({"verified": False, "rounds": 3, "findings": []}))
    os.utime(path, (200, 200))
    second = audit.newest()
    assert second is not None
    assert second.verified is False
    path.unlink()
    assert audit.newest() is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b" " * (MOST_BYTES + 1)])
def test_what_is_no_audit_is_unreadable_and_nothing_worse(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audit.json"
    path.write_bytes(content)
    seen = AuditFile(path).newest()
    assert seen is not None
    assert seen.verified is None
