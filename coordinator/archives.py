"""Where this coordinator keeps its run: on its own disk, or in a database that another one may share."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from coordinator.state import LEDGER_FILE
from fecosr.config.parties import CoordinatorConfig
from fecosr.errors import ConfigError, StorageError
from fecosr.ids import RunId
from fecosr.storage.archive import Archive, FolderArchive

if TYPE_CHECKING:
    from fecosr.storage.postgres import RunDatabase

KNOCK_SECONDS: Final = 1.0
"""A standby looks so often whether the run is free."""
CHECK_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 60.0
"""A database that answers nothing for so long, or takes so long for one file, counts as lost."""


class Keeping(Protocol):
    """An archive, and what has to be known of it while it is used."""

    @property
    def archive(self) -> Archive:
        """Return it."""

    async def is_ours(self, terminated: asyncio.Event, log: structlog.typing.FilteringBoundLogger) -> bool:
        """Return True once nobody else writes to it, or False when this process is to end before that.

        Raises:
            StorageError: it was lost, or somebody else has it and nobody is to wait.
        """

    async def until_lost(self) -> None:
        """Wait until nothing can be stored any more.

        Raises:
            StorageError: now.
        """


@contextmanager
def opened_archive(config: CoordinatorConfig, run: RunId) -> Iterator[Keeping]:
    """Open what `config` names for the block; it may belong to somebody else still.

    Raises:
        ConfigError: it cannot be used as configured.
        StorageError: it cannot be reached, or is of another version.
    """
    if config.database is None:
        yield OnDisk(FolderArchive(config.storage))
        return
    _refuse_two_truths(config)
    # Loaded where it is wanted: most coordinators live without it.
    from fecosr.storage.postgres import RunDatabase  # noqa: PLC0415

    with RunDatabase(config.database.url, config.database.password(), run) as database:
        yield InDatabase(database, waits=config.database.standby)


class OnDisk:
    """Keep a run in a folder, which a lock on its ledger guards."""

    def __init__(self, archive: FolderArchive) -> None:
        self.archive: Archive = archive

    async def is_ours(self, terminated: asyncio.Event, log: structlog.typing.FilteringBoundLogger) -> bool:
        """Return True: whether somebody else has the folder shows when it is opened."""
        return True

    async def until_lost(self) -> None:
        """Wait for ever: a disk says that it is lost to whoever writes on it."""
        await asyncio.Event().wait()


class InDatabase:
    """Keep a run in a database.

    Args:
        database: connected.
        waits: whether to stand by while somebody else has the run.
    """

    def __init__(self, database: "RunDatabase", *, waits: bool) -> None:
        self.archive: Archive = database
        self._database = database
        self._waits = waits

    async def is_ours(self, terminated: asyncio.Event, log: structlog.typing.FilteringBoundLogger) -> bool:
        """Return True once this process has the run, or False when it is to end before that."""
        database = self._database
        if database.own():
            return True
        owner = database.owner() or "another coordinator"
        if not self._waits:
            raise StorageError(f"{database.place}: the run is in use by {owner}")
        log.info("standing_by", owner=owner)
        while not terminated.is_set():
            if database.own():
                log.info("taking_over", owner=owner)
                return True
            with suppress(TimeoutError):
                await asyncio.wait_for(terminated.wait(), KNOCK_SECONDS)
        return False

    async def until_lost(self) -> None:
        """Ask the database again and again whether it is there."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            check = asyncio.ensure_future(asyncio.to_thread(self._database.check))
            answered, _ = await asyncio.wait({check}, timeout=ANSWER_SECONDS)
            if not answered:
                self._database.abandon()
            await check


def _refuse_two_truths(config: CoordinatorConfig) -> None:
    ledger = config.storage / LEDGER_FILE
    if ledger.exists() and ledger.stat().st_size:
        raise ConfigError(
            "a run was begun in this folder, so it cannot go on in a database",
            remedy="remove [database] to go on with it, or name another storage folder for a new run",
            source=str(config.storage),
        )
