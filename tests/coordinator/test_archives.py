"""Which archive a coordinator opens, who may write to it, and what happens when it is lost."""

import asyncio
from pathlib import Path
from typing import cast

import pytest
import structlog
from structlog.typing import FilteringBoundLogger

from coordinator.archives import opened_archive
from coordinator.state import CoordinatorState
from fecosr.config.database import DatabaseSection
from fecosr.config.parties import CoordinatorConfig
from fecosr.errors import ConfigError, StorageError
from fecosr.federation.coordinator import Gathering
from fecosr.ledger.log import Entry
from fecosr.ledger.records import CoordinatorRestarted
from fecosr.storage.archive import FolderArchive
from fecosr.storage.parameters import write_parameters
from tests.reference.small_federation import SmallFederation

FEDERATION = SmallFederation(["de", "fr", "jp", "uk"])
RUN = FEDERATION.plan.run


def configured(folder: Path, url: str | None, *, standby: bool = True) -> CoordinatorConfig:
    section = None if url is None else DatabaseSection(url=url, standby=standby)
    return CoordinatorConfig(listen="h:1", storage=folder, database=section)


class Log:
    """Remember what was logged."""

    def __init__(self) -> None:
        self.said: list[tuple[str, object]] = []
        self.heard = asyncio.Event()

    def info(self, event: str, owner: object = None) -> None:
        self.said.append((event, owner))
        self.heard.set()


def started(config: CoordinatorConfig, initial: Path) -> list[Entry]:
    """Do what a coordinator does at its start; return the entries it stored then."""
    stored: list[Entry] = []
    with opened_archive(config, RUN) as keeping:
        assert asyncio.run(keeping.is_ours(asyncio.Event(), structlog.get_logger()))
        with CoordinatorState(keeping.archive, config.storage / "uploads", FEDERATION.setup) as state:
            transition = state.begin(initial)(0.0)
            assert isinstance(transition.state, Gathering)
            for record in transition.records:
                state.persist(record)
                stored += [record] if isinstance(record, Entry) else []
    return stored


def test_without_a_database_it_is_the_folder(tmp_path: Path) -> None:
    with opened_archive(configured(tmp_path / "state", None), RUN) as keeping:
        assert isinstance(keeping.archive, FolderArchive)
        assert asyncio.run(keeping.is_ours(asyncio.Event(), structlog.get_logger()))
    assert not (tmp_path / "state").exists()


def test_another_machine_goes_on_without_any_file_of_the_first(tmp_path: Path, database_url: str) -> None:
    initial = tmp_path / "initial.safetensors"
    write_parameters(initial, FEDERATION.initial, {})
    started(configured(tmp_path / "here", database_url), initial)
    initial.unlink()
    (entry,) = started(configured(tmp_path / "there", database_url), initial)
    assert entry.body == CoordinatorRestarted(0, 0)
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["uploads"]


def test_a_run_that_began_in_the_folder_does_not_begin_again_in_a_database(
    tmp_path: Path, database_url: str
) -> None:
    initial = tmp_path / "initial.safetensors"
    write_parameters(initial, FEDERATION.initial, {})
    started(configured(tmp_path / "state", None), initial)
    with (
        pytest.raises(ConfigError, match="cannot go on in a database"),
        opened_archive(configured(tmp_path / "state", database_url), RUN),
    ):
        pass


def test_who_does_not_want_to_wait_is_told_who_has_the_run(tmp_path: Path, database_url: str) -> None:
    async def second() -> None:
        with opened_archive(configured(tmp_path, database_url, standby=False), RUN) as keeping:
            await keeping.is_ours(asyncio.Event(), structlog.get_logger())

    with opened_archive(configured(tmp_path, database_url), RUN) as first:
        assert asyncio.run(first.is_ours(asyncio.Event(), structlog.get_logger()))
        with pytest.raises(StorageError, match="the run is in use by fecosr-coordinator"):
            asyncio.run(second())


@pytest.mark.parametrize("is_terminated", [False, True])
def test_a_standby_waits_until_the_run_is_free_or_it_is_to_end(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, is_terminated: bool
) -> None:
    monkeypatch.setattr("coordinator.archives.KNOCK_SECONDS", 0.0)
    config, log = configured(tmp_path, database_url), Log()

    async def meet() -> bool:
        terminated = asyncio.Event()
        with opened_archive(config, RUN) as second:
            with opened_archive(config, RUN) as first:
                assert await first.is_ours(terminated, structlog.get_logger())
                waiting = asyncio.ensure_future(second.is_ours(terminated, cast("FilteringBoundLogger", log)))
                await log.heard.wait()
                assert not waiting.done()
                if is_terminated:
                    terminated.set()
                    return await waiting
            return await waiting

    assert asyncio.run(meet()) is not is_terminated
    events = [event for event, _ in log.said]
    assert events == (["standing_by"] if is_terminated else ["standing_by", "taking_over"])
    assert str(log.said[0][1]).startswith("fecosr-coordinator ")


def test_a_lost_connection_is_noticed_while_nothing_is_stored(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setattr("coordinator.archives.CHECK_SECONDS", 0.0)

    async def lose() -> None:
        with opened_archive(configured(tmp_path, database_url), RUN) as keeping:
            lost = asyncio.ensure_future(keeping.until_lost())
            await asyncio.wait({lost}, timeout=0.05)
            assert not lost.done()
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name LIKE 'fecosr-coordinator %'"
                )
            await lost

    with pytest.raises(StorageError, match="database postgres on "):
        asyncio.run(lose())
