"""A coordinator that lies to one market node: the real server, driver and state machine, but for the lie.

`python -m fecosr.harness.lying_coordinator` is one such process; scenarios start it in place of the
coordinator. It keeps nothing, so its run folder passes no audit.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer

from fecosr import __version__
from fecosr.config.clock import utc_now
from fecosr.config.exits import TERMINATED, exit_code_of
from fecosr.config.logs import configure_logs
from fecosr.config.parties import load_coordinator, load_identity, load_node, load_roster
from fecosr.config.plan import load_plan
from fecosr.federation.coordinator import open_run
from fecosr.federation.messages import CoordinatorMessage
from fecosr.federation.progress import CoordinatorSetup
from fecosr.harness.lies import LIES, Knowledge, Lie
from fecosr.ids import NodeId
from fecosr.rpc.coordinator_driver import CoordinatorDriver
from fecosr.rpc.coordinator_server import CoordinatorServer
from fecosr.rpc.listener import listen
from fecosr.rpc.tls import TlsFiles
from fecosr.storage.parameters import read_parameters
from fecosr.storage.uploads import UploadSpool

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Log = structlog.typing.FilteringBoundLogger


@app.command()
def lying_coordinator(
    config: Annotated[Path, typer.Option("--config")],
    listen: Annotated[str, typer.Option("--listen")],
    lie: Annotated[str, typer.Option("--lie")],
    victim: Annotated[str, typer.Option("--victim")],
    accomplice: Annotated[Path, typer.Option("--accomplice", help="node.toml of the node that plays along.")],
) -> None:
    """Serve nodes until SIGTERM, and lie to one of them."""

    def serve() -> int:
        return asyncio.run(_serve(config, listen, LIES[lie], NodeId(victim), accomplice))

    raise typer.Exit(exit_code_of(serve))


class _Liar:
    """Send what the state machine says, but to one node what the lie makes of it."""

    def __init__(self, server: CoordinatorServer, lie: Lie, known: Knowledge) -> None:
        self._server = server
        self._lie = lie
        self._known = known

    async def send(self, node: NodeId, message: CoordinatorMessage) -> None:
        """Send `message`, or what stands in for it."""
        is_victim = node == self._known.victim
        for told in self._lie.tell(self._known, message) if is_victim else [message]:
            await self._server.send(node, told)

    async def close_node(self, node: NodeId) -> None:
        """Close the connection of `node`."""
        await self._server.close_node(node)


@asynccontextmanager
async def lying(
    config_file: Path, lie: Lie, *, victim: NodeId, accomplice: Path, address: str, spool: Path, log: Log
) -> AsyncIterator[int]:
    """Serve for the length of a block as the coordinator of a kit, but for the lie; yield the port."""
    config = load_coordinator(config_file)
    plan, roster = load_plan(config.plan).federation(), load_roster(config.roster)
    key, other = load_identity(config.identity), load_node(accomplice)
    known = Knowledge(key, NodeId(other.market), load_identity(other.identity), victim, plan.n_min)
    driver = CoordinatorDriver(lambda _record: None, log)
    uploads = UploadSpool(spool, len(roster.nodes))
    tls = TlsFiles(config.tls.ca, config.tls.certificate, config.tls.key)
    server = CoordinatorServer(
        listen(address, tls, utc_now(), len(roster.nodes)),
        roster=roster.nodes,
        handler=driver,
        models=driver,
        uploads=uploads,
    )
    model = read_parameters(config.initial_model)
    setup = CoordinatorSetup(plan, roster, key, __version__)
    await driver.start(_Liar(server, lie, known), lambda now: open_run(setup, model, now))
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop(grace_seconds=0.0)
        uploads.discard_all()


async def _serve(config_file: Path, address: str, lie: Lie, victim: NodeId, accomplice: Path) -> int:
    config = load_coordinator(config_file)
    log = configure_logs(run=load_plan(config.plan).run.name)
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    serving = lying(
        config_file,
        lie,
        victim=victim,
        accomplice=accomplice,
        address=address,
        spool=config.storage / "uploads",
        log=log,
    )
    async with serving as port:
        log.info("coordinator_ready", address=address, port=port)
        await terminated.wait()
    return TERMINATED


if __name__ == "__main__":
    app()
