"""A coordinator that lies to real node processes: the node stops, names the rule, and reveals nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import structlog

from fecosr import __version__
from fecosr.config.clock import utc_now
from fecosr.config.parties import load_coordinator, load_identity, load_node, load_roster
from fecosr.config.plan import load_plan
from fecosr.crypto.signatures import SigningKey
from fecosr.federation.coordinator import open_run
from fecosr.federation.messages import CoordinatorMessage, FromServer, RoundTask
from fecosr.federation.progress import CoordinatorSetup
from fecosr.harness.events import Logged
from fecosr.harness.processes import Processes, python_module
from fecosr.harness.wire_runs import Bench, provisioned
from fecosr.ids import NodeId
from fecosr.rpc.coordinator_driver import CoordinatorDriver
from fecosr.rpc.coordinator_server import CoordinatorServer
from fecosr.rpc.listener import listen
from fecosr.rpc.tls import TlsFiles
from fecosr.secagg.messages import (
    AdvertList,
    ConsistencyProof,
    KeyAdvert,
    ServerMessage,
    ShareDelivery,
    SurvivorList,
)
from fecosr.secagg.rules import Rule
from fecosr.secagg.statements import signed_advert
from fecosr.storage.uploads import UploadSpool

VICTIM, OTHER = NodeId("node-1"), NodeId("node-2")
NUM_NODES, NUM_PARAMETERS = 4, 1000
PATIENCE_SECONDS = 120.0
pytestmark = pytest.mark.system


@dataclass(frozen=True)
class Knowledge:
    """Hold what a liar needs: its own key, and that of a node that plays along where the lie takes one."""

    key: SigningKey
    accomplice: SigningKey
    victim_n_min: int


Lie = Callable[[Knowledge, CoordinatorMessage], list[CoordinatorMessage]]


def in_session(tell: Callable[[Knowledge, ServerMessage], list[ServerMessage]]) -> Lie:
    """Return the lie that replaces messages of the secure aggregation."""

    def lie(known: Knowledge, message: CoordinatorMessage) -> list[CoordinatorMessage]:
        if not isinstance(message, FromServer):
            return [message]
        return [replace(message, body=body) for body in tell(known, message.body)]

    return lie


def with_advert(adverts: tuple[KeyAdvert, ...], changed: KeyAdvert) -> AdvertList:
    return AdvertList(tuple(changed if it.client == changed.client else it for it in adverts))


def other_advert(adverts: tuple[KeyAdvert, ...]) -> KeyAdvert:
    return next(it for it in adverts if it.client == OTHER)


def another_model(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Show the advert of a node that was told of another model, and signed for that."""
    if not isinstance(body, AdvertList):
        return [body]
    it = other_advert(body.adverts)
    keys = (it.channel_public, it.mask_public)
    elsewhere = signed_advert(bytes(32), OTHER, known.accomplice, keys, it.seed_commitment)
    return [with_advert(body.adverts, elsewhere)]


def substituted_key(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Put a key of the coordinator's own in the place of another node's."""
    if not isinstance(body, AdvertList):
        return [body]
    return [with_advert(body.adverts, replace(other_advert(body.adverts), mask_public=known.key.public))]


def shrunken_cohort(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Leave the victim with fewer others than were agreed on."""
    if not isinstance(body, AdvertList):
        return [body]
    return [AdvertList(body.adverts[: known.victim_n_min - 1])]


def shares_of_a_stranger(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Deliver shares in the name of somebody outside the cohort."""
    del known
    if not isinstance(body, ShareDelivery):
        return [body]
    return [ShareDelivery({**body.shares, NodeId("node-9"): body.shares[OTHER]})]


def changed_share(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Change a sealed share on its way."""
    del known
    if not isinstance(body, ShareDelivery):
        return [body]
    delivered = body.shares[OTHER]
    flipped = bytes([delivered.sealed.ciphertext[0] ^ 1]) + delivered.sealed.ciphertext[1:]
    sealed = replace(delivered.sealed, ciphertext=flipped)
    return [ShareDelivery({**body.shares, OTHER: replace(delivered, sealed=sealed)})]


def changed_commitment(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Change what a dealer committed to, so that the victim complains of it."""
    del known
    if not isinstance(body, ShareDelivery):
        return [body]
    delivered = body.shares[OTHER]
    sealed = replace(delivered.sealed, seed_share_commitment=bytes(32))
    return [ShareDelivery({**body.shares, OTHER: replace(delivered, sealed=sealed)})]


def survivors_without_the_victim(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Call a node dropped whose vector is in the sum, to be told its mask key."""
    del known
    if not isinstance(body, SurvivorList):
        return [body]
    return [SurvivorList(tuple(name for name in body.survivors if name != VICTIM))]


def second_survivor_list(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Have a second list signed after the first."""
    del known
    if not isinstance(body, ConsistencyProof):
        return [body]
    everybody = tuple(signed.client for signed in body.signatures)
    return [SurvivorList(tuple(name for name in everybody if name != OTHER)), body]


def proof_without_a_quorum(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Ask for the shares before enough have signed."""
    del known
    return [ConsistencyProof(body.signatures[:2]) if isinstance(body, ConsistencyProof) else body]


def weaker_rules(known: Knowledge, message: CoordinatorMessage) -> list[CoordinatorMessage]:
    """Lower n_min below the plan, properly signed."""
    if not isinstance(message, RoundTask):
        return [message]
    manifest = replace(message.manifest, n_min=2, max_colluding=0)
    return [RoundTask(manifest, known.key.sign(manifest.signed_bytes()))]


def forged_task(known: Knowledge, message: CoordinatorMessage) -> list[CoordinatorMessage]:
    """Sign the task with another key than the pinned one."""
    if not isinstance(message, RoundTask):
        return [message]
    return [replace(message, signature=known.accomplice.sign(message.manifest.signed_bytes()))]


LIES: dict[str, tuple[Lie, str]] = {
    "another model": (in_session(another_model), Rule.BAD_ADVERT),
    "key substitution": (in_session(substituted_key), Rule.BAD_ADVERT),
    "cohort too small": (in_session(shrunken_cohort), Rule.COHORT_TOO_SMALL),
    "stranger's shares": (in_session(shares_of_a_stranger), Rule.UNKNOWN_SOURCE),
    "share changed": (in_session(changed_share), Rule.BAD_DEAL),
    "commitment changed": (in_session(changed_commitment), Rule.BAD_DEAL),
    "alive and dropped": (in_session(survivors_without_the_victim), Rule.NOT_A_SURVIVOR),
    "two survivor lists": (in_session(second_survivor_list), Rule.EQUIVOCATION),
    "no quorum": (in_session(proof_without_a_quorum), Rule.PROOF_TOO_SMALL),
    "weaker rules": (weaker_rules, "n_min differs from the plan"),
    "forged task": (forged_task, "the signature is not the pinned coordinator's"),
}


class Liar:
    """Send what the state machine says, but to one node what the lie makes of it."""

    def __init__(
        self, server: CoordinatorServer, lie: Callable[[CoordinatorMessage], list[CoordinatorMessage]]
    ):
        self._server = server
        self._lie = lie

    async def send(self, node: NodeId, message: CoordinatorMessage) -> None:
        for told in self._lie(message) if node == VICTIM else [message]:
            await self._server.send(node, told)

    async def close_node(self, node: NodeId) -> None:
        await self._server.close_node(node)


@asynccontextmanager
async def lying_coordinator(bench: Bench, lie: Lie, spool: Path) -> AsyncIterator[int]:
    """Serve with the real server and driver, but for the lie; yield the port."""
    config = load_coordinator(bench.kits.coordinator)
    plan, roster, key = (
        load_plan(config.plan).federation(),
        load_roster(config.roster),
        load_identity(config.identity),
    )
    known = Knowledge(key, load_identity(load_node(bench.kits.nodes[OTHER]).identity), plan.n_min)
    driver = CoordinatorDriver(lambda _record: None, structlog.get_logger())
    server = CoordinatorServer(
        listen("127.0.0.1:0", TlsFiles(config.tls.ca, config.tls.certificate, config.tls.key), utc_now()),
        roster=roster.nodes,
        handler=driver,
        models=driver,
        uploads=UploadSpool(spool),
    )
    model = np.zeros(bench.num_parameters, dtype=np.float32)
    setup = CoordinatorSetup(plan, roster, key, __version__)
    await driver.start(Liar(server, partial(lie, known)), lambda now: open_run(setup, model, now))
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop(grace_seconds=0.0)


def victim_says(processes: Processes) -> Iterator[Logged]:
    """Yield what the victim logs, until nothing comes any more."""
    while happenings := processes.wait(PATIENCE_SECONDS):
        yield from (it for it in happenings if isinstance(it, Logged) and it.name == VICTIM)


def first_refusal(processes: Processes) -> tuple[str, set[str]]:
    """Return which rule the victim says was broken first, and which phases it took part in before."""
    phases: set[str] = set()
    for logged in victim_says(processes):
        if logged.event == "refused":
            return logged.text("rule"), phases
        if logged.event == "phase_started":
            phases.add(logged.text("phase"))
    raise AssertionError(f"the victim refused nothing after {sorted(phases)}")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with provisioned(NUM_NODES, NUM_PARAMETERS, rounds=2) as made:
        yield made


@pytest.mark.parametrize("attack", LIES)
def test_a_real_node_stops_and_names_the_rule(bench: Bench, attack: str, tmp_path: Path) -> None:
    lie, rule = LIES[attack]
    named, phases = asyncio.run(lied_to(bench, lie, tmp_path))
    assert named == rule
    assert "unmask" not in phases, "it revealed shares before it stopped"


async def lied_to(bench: Bench, lie: Lie, folder: Path) -> tuple[str, set[str]]:
    """Return what `first_refusal` does of a round with real nodes that know nothing of earlier ones."""
    async with lying_coordinator(bench, lie, folder / "spool") as port:
        with Processes(folder) as processes:
            for name, config in bench.kits.nodes.items():
                for left in load_node(config).storage.glob("*"):
                    left.unlink()
                command = python_module(
                    "fecosr.harness.bench_node",
                    *("--config", str(config)),
                    *("--coordinator", f"127.0.0.1:{port}"),
                    *("--num-parameters", str(NUM_PARAMETERS)),
                )
                processes.start(name, command)
            return await asyncio.to_thread(first_refusal, processes)
