from dataclasses import replace
from pathlib import Path

import pytest

from fecosr.config.plan import load_plan
from fecosr.errors import ConfigError
from fecosr.provisioning.preflight import disk
from fecosr.provisioning.preflight.disk import check_storage, file_system_of, in_use, needed_bytes
from fecosr.provisioning.preflight.findings import Level
from fecosr.provisioning.preflight.kit import Kit
from fecosr.storage.lock import OwnerLock

MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
server:/x /data/kits\\040of\\040mine nfs4 rw 0 0
"""


def test_a_folder_that_can_be_used_is_left_as_it_was(node: Kit) -> None:
    found = list(check_storage(node))
    assert {finding.check for finding in found} == {"storage", "space"}
    assert all(finding.level is not Level.FAILURE for finding in found)
    assert list(node.config.storage.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error(node: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = node.config.model_copy(update={"storage": node.config.roster / "state"})
    with pytest.raises(ConfigError, match="cannot be used as a folder: Not a directory"):
        list(check_storage(replace(node, config=blocked)))

    def refuse(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(ConfigError, match="cannot be written: Input/output error"):
        list(check_storage(node))
    assert list(node.config.storage.iterdir()) == []


def test_a_disk_without_room_for_the_run_is_found(coordinator: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SPARE_BYTES", 1 << 60)
    found = next(finding for finding in check_storage(coordinator) if finding.check == "space")
    assert found.level is Level.FAILURE
    assert "a whole run takes about" in found.message


def test_room_grows_with_model_rounds_and_markets(coordinator: Kit) -> None:
    plan = load_plan(coordinator.config.plan)
    need = needed_bytes(plan, 1000, 5, is_coordinator=True) - needed_bytes(plan, 0, 5, is_coordinator=True)
    assert need == 1000 * (3 * 4 + 5)
    assert needed_bytes(plan, 1000, 5, is_coordinator=False) - disk.SPARE_BYTES == 4000


def test_a_slow_disk_is_worth_a_word(node: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SLOW_SECONDS", -1.0)
    assert next(check_storage(node)).level is Level.WARNING


def test_a_process_that_runs_with_the_kit_is_noticed_and_not_disturbed(node: Kit) -> None:
    assert not in_use(node)
    lock = OwnerLock(node.config.storage / "node.sqlite.lock")
    assert in_use(node)
    assert any("in use by a process" in finding.message for finding in check_storage(node))
    lock.release()
    assert not in_use(node)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/var/lib", "ext4"), ("/run/x", "tmpfs"), ("/running", "ext4"), ("/data/kits of mine/fr", "nfs4")],
)
def test_the_file_system_is_that_of_the_longest_mount(folder: str, kind: str) -> None:
    assert file_system_of(Path(folder), MOUNTS) == kind


@pytest.mark.parametrize(("kind", "level"), [("nfs4", Level.FAILURE), ("tmpfs", Level.WARNING)])
def test_file_systems_that_break_promises_are_named(
    node: Kit, monkeypatch: pytest.MonkeyPatch, kind: str, level: Level
) -> None:
    monkeypatch.setattr(disk, "file_system_of", lambda *_: kind)
    assert [finding.level for finding in check_storage(node) if kind in finding.message] == [level]
