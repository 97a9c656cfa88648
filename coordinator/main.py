"""Read the configuration, open the state, serve the markets until the run is over."""

import asyncio
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Annotated, NoReturn

import structlog
import typer

from coordinator.archives import Keeping, opened_archive
from coordinator.state import UPLOADS_FOLDER, CoordinatorState
from coordinator.watching import Watching
from fecosr import __version__
from fecosr.config.address import address_option
from fecosr.config.clock import utc_now
from fecosr.config.exits import DONE, FAILED, TERMINATED, exit_code_of
from fecosr.config.heap import share_one_heap
from fecosr.config.logs import LOG_FORMAT_OPTION, LogFormat, configure_logs
from fecosr.config.parties import (
    CoordinatorConfig,
    load_coordinator,
    load_identity,
    load_roster,
)
from fecosr.config.plan import load_plan
from fecosr.errors import ConfigError
from fecosr.federation.cohort import num_invited
from fecosr.federation.handover import Stopped
from fecosr.federation.progress import CoordinatorSetup
from fecosr.ids import COORDINATOR
from fecosr.rpc.coordinator_driver import CoordinatorDriver
from fecosr.rpc.coordinator_server import CoordinatorServer
from fecosr.rpc.expiry import warn_of_expiry
from fecosr.rpc.failpoints import begin_rehearsal
from fecosr.rpc.listener import listen
from fecosr.rpc.revocation import Revocations
from fecosr.rpc.tls import TlsFiles, server_credentials

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    epilog="Examples: fecosr-coordinator --config kits/coordinator/coordinator.toml. "
    "Run the same command again after a crash: the run goes on with the round it was in."
)
def coordinator(
    config: Annotated[Path, typer.Option("--config", help="coordinator.toml of the startup kit.")],
    listen: Annotated[str, typer.Option("--listen", help="HOST:PORT instead of the configured one.")] = "",
    log_format: Annotated[LogFormat, LOG_FORMAT_OPTION] = "json",
) -> None:
    """Coordinate one federated run: open rounds, add masked updates, release sums, keep the ledger.

    Log lines go to standard error. Exit codes: 0 the run is complete, 1 it failed, 2 unusable
    configuration, 130 or 143 stopped by a signal (start it again to go on).
    """
    raise typer.Exit(exit_code_of(lambda: _run(config, listen, log_format)))


def main() -> NoReturn:
    """Start the coordinator."""
    share_one_heap()
    app(prog_name="fecosr-coordinator")
    raise AssertionError("typer exits")


def _run(path: Path, listen: str, log_format: LogFormat) -> int:
    config = load_coordinator(path)
    if listen:
        config = config.model_copy(update={"listen": address_option("--listen", listen)})
    setup = _setup(config)
    watching = Watching(config, setup.plan.run)
    log = configure_logs(log_format, watching.observers, run=setup.plan.run, party=COORDINATOR)
    with closing(watching):
        code = asyncio.run(_serve(config, setup, watching, log))
        log.info("coordinator_stopped", exit_code=code)
    return code


def _setup(config: CoordinatorConfig) -> CoordinatorSetup:
    plan = load_plan(config.plan).federation()
    roster = load_roster(config.roster)
    key = load_identity(config.identity)
    if key.public != roster.coordinator:
        raise ConfigError(
            "this identity is not the coordinator's in the roster",
            remedy="use the identity.key and roster.toml of one kit",
            source=str(config.identity),
        )
    if len(roster.nodes) < plan.n_min:
        raise ConfigError(
            f"the roster has {len(roster.nodes)} markets, n_min is {plan.n_min}",
            remedy="provision more markets or lower cohort.n_min",
            source=str(config.roster),
        )
    count = num_invited(plan.participation, len(roster.nodes))
    if count < plan.n_min:
        raise ConfigError(
            f"cohort.participation invites {count} markets to a round, n_min is {plan.n_min}",
            remedy="invite more of them or lower cohort.n_min",
            source=str(config.plan),
        )
    return CoordinatorSetup(plan, roster, key, __version__)


async def _serve(
    config: CoordinatorConfig,
    setup: CoordinatorSetup,
    watching: Watching,
    log: structlog.typing.FilteringBoundLogger,
) -> int:
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    # A standby is not to find out when it is needed that nobody can speak to it.
    server_credentials(_tls_files(config), utc_now())
    with opened_archive(config, setup.plan.run) as keeping:
        if not await keeping.is_ours(terminated, log):
            return TERMINATED
        return await _coordinate(config, setup, watching, keeping, terminated=terminated, log=log)


async def _coordinate(
    config: CoordinatorConfig,
    setup: CoordinatorSetup,
    watching: Watching,
    keeping: Keeping,
    *,
    terminated: asyncio.Event,
    log: structlog.typing.FilteringBoundLogger,
) -> int:
    rehearsal = begin_rehearsal(os.environ, setup.plan.run, log)
    # Whatever an operator may have to correct is tried before the first record is stored.
    listener = listen(config.listen, _tls_files(config), utc_now(), len(setup.roster.nodes))
    revocations = Revocations(config.tls.revoked, config.tls.ca)
    spool = config.storage / UPLOADS_FOLDER
    with watching.server() as web, CoordinatorState(keeping.archive, spool, setup) as state:
        driver = CoordinatorDriver(watching.stored(state.persist), log, rehearsal)
        server = CoordinatorServer(
            listener,
            roster=setup.roster.nodes.keys(),
            handler=driver,
            models=driver,
            uploads=state.uploads,
            revocations=revocations,
        )
        watching.remember(state.entries, server.meter)
        # The run is open before the first node is let in: nodes that knock earlier wait at the port.
        await driver.start(server, state.begin(config.initial_model))
        await server.start()
        try:
            warn_of_expiry(log, utc_now(), config.tls.ca, config.tls.certificate)
            log.info("coordinator_ready", address=config.listen, port=server.port)
            if web is not None:
                web.start()
            return await _until_over(driver, keeping, terminated, log)
        finally:
            await server.stop()


def _tls_files(config: CoordinatorConfig) -> TlsFiles:
    return TlsFiles(config.tls.ca, config.tls.certificate, config.tls.key)


async def _until_over(
    driver: CoordinatorDriver,
    keeping: Keeping,
    terminated: asyncio.Event,
    log: structlog.typing.FilteringBoundLogger,
) -> int:
    """Return the exit code of the run, or of a termination signal that came first.

    Raises:
        StorageError: the archive was lost.
    """
    over = asyncio.ensure_future(driver.stopped())
    signalled = asyncio.ensure_future(terminated.wait())
    lost = asyncio.ensure_future(keeping.until_lost())
    first, _ = await asyncio.wait({over, signalled, lost}, return_when=asyncio.FIRST_COMPLETED)
    if over not in first:
        await driver.halt()
    for other in {over, signalled, lost} - first:
        other.cancel()
    await asyncio.gather(over, signalled, lost, return_exceptions=True)
    if over in first:
        return _exit_code(over.result(), log)
    if lost in first:
        lost.result()
    log.info("terminating")
    return TERMINATED


def _exit_code(stopped: Stopped, log: structlog.typing.FilteringBoundLogger) -> int:
    if stopped.completed:
        return DONE
    log.error("run_failed", reason=stopped.reason)
    return FAILED
