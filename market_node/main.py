"""Read the configuration and the market's data, take part in the run, then make the market's own model."""

import asyncio
import os
import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from fecosr import __version__
from fecosr.config.address import address_option
from fecosr.config.clock import utc_now
from fecosr.config.exits import DONE, FAILED, end_on_signals, exit_code_of
from fecosr.config.heap import reuse_one_heap
from fecosr.config.logs import LOG_FORMAT_OPTION, LogFormat, configure_logs
from fecosr.config.parties import NodeConfig, load_identity, load_node, load_roster
from fecosr.config.plan import Plan, load_plan
from fecosr.config.privacy import NoPrivacySection
from fecosr.data.sequences import MarketSequences, load_market
from fecosr.errors import ConfigError
from fecosr.federation.aggregation import Vector, parameters_hash
from fecosr.federation.cohort import Roster
from fecosr.federation.contribution import NodeSetup, Trained
from fecosr.federation.messages import RoundManifest
from fecosr.federation.node_states import Done, Refused
from fecosr.ids import NodeId, RunId
from fecosr.recommender.semantics import EmbeddingAccess, semantics_source
from fecosr.recommender.shared_size import num_shared_parameters
from fecosr.rpc.expiry import warn_of_expiry
from fecosr.rpc.failpoints import Rehearsal, begin_rehearsal
from fecosr.rpc.node_client import NodeClient
from fecosr.rpc.node_driver import NodeDriver, Train
from fecosr.rpc.tls import TlsFiles
from fecosr.serving.facts import OriginFacts
from fecosr.storage.vector_cache import VectorFolder
from fecosr.training.accounting import ACCOUNTANTS
from market_node.loading import Loading
from market_node.readiness import (
    LEARNER_READY,
    Log,
    check_covered,
    encoding_logged,
    is_soon_learnt,
    log_ready,
)
from market_node.shards import follow_first, shard_of
from market_node.sketches import MarketSketches
from market_node.state import REPORT_FILE, VECTORS_FOLDER, NodeState
from market_node.watching import Watching

if TYPE_CHECKING:
    # It imports torch, and a start shall not wait for that.
    from fecosr.training.market import MarketLearner

STOPPED: Final = "node_stopped"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    epilog="Examples: fecosr-market-node --config kits/fr/node.toml. "
    "Run the same command again after a crash: the node joins the next round, or goes on with fine-tuning. "
    "With num_shards = 2 in node.toml: torchrun --standalone --nproc-per-node 2 -m market_node --config "
    "kits/fr/node.toml."
)
def market_node(
    config: Annotated[Path, typer.Option("--config", help="node.toml of the startup kit.")],
    coordinator: Annotated[
        str, typer.Option("--coordinator", help="HOST:PORT instead of the configured one.")
    ] = "",
    log_format: Annotated[LogFormat, LOG_FORMAT_OPTION] = "json",
) -> None:
    """Take part in a federated run for one market, then fine-tune and measure its own model.

    Interactions, item tables and adapters never leave this process. Log lines go to standard error.
    Exit codes: 0 done, 1 failed or refused, 2 unusable configuration or data, 130 or 143 stopped by a signal
    (start it again to go on).
    """
    raise typer.Exit(exit_code_of(lambda: _run(config, coordinator, log_format)))


def main() -> NoReturn:
    """Start a market node."""
    reuse_one_heap()
    app(prog_name="fecosr-market-node")
    raise AssertionError("typer exits")


@dataclass(frozen=True, slots=True)
class _Kit:
    """Hold everything the startup kit says."""

    config: NodeConfig
    plan: Plan
    roster: Roster
    log: Log = field(repr=False)
    rehearsal: Rehearsal
    watching: Watching = field(repr=False)


def _run(path: Path, coordinator: str, log_format: LogFormat) -> int:
    config = load_node(path)
    if coordinator:
        config = config.model_copy(update={"coordinator": address_option("--coordinator", coordinator)})
    plan = load_plan(config.plan)
    watching = Watching(config, RunId(plan.run.name))
    bound = {"run": plan.run.name, "party": config.market, "market": config.market}
    shard = shard_of(os.environ, config, plan)
    log = configure_logs(log_format, () if shard else watching.observers, **bound)
    end_on_signals(log, STOPPED)
    if shard:
        code = follow_first(config, plan, shard, log)
        log.info(STOPPED, exit_code=code)
        return code
    rehearsal = begin_rehearsal(os.environ, plan.run.name, log)
    kit = _Kit(config, plan, load_roster(config.roster), log, rehearsal, watching)
    with closing(watching), watching.server() as web:
        if web is not None:
            web.start()
        code = _take_part(kit)
        log.info(STOPPED, exit_code=code)
    return code


def _take_part(kit: _Kit) -> int:
    config, log = kit.config, kit.log
    data = load_market(config.data)
    semantics = kit.plan.semantics
    setup = _setup(kit, num_shared_parameters(kit.plan.encoder, semantics.dimension))
    if setup.plan.privacy is not None:
        check_covered(setup.plan.privacy, data)
    with NodeState(config.storage, setup.plan.run, kit.roster, setup.me) as state:
        sketches = MarketSketches(data, semantics, state) if setup.plan.sketch else None
        with Loading(lambda: _learner(kit, data, sketches), early=sketches is None) as loading:
            divided = config.num_shards > 1
            if divided or (sketches is None and not is_soon_learnt(data, semantics)):
                loading.learner()
            log_ready(log, data, semantics_source(data.catalogue.titles, semantics), semantics.embedding_hash)
            if state.final_model() is None:
                code = asyncio.run(_federate(kit, setup, state, loading, sketches))
                if code != DONE:
                    return code
            shared = state.final_model()
            if shared is None:
                return FAILED
            if not (config.storage / REPORT_FILE).exists():
                _report(kit, data, shared, loading.learner())
            if divided:
                loading.learner().close()
    return DONE


def _learner(kit: _Kit, data: MarketSequences, sketches: MarketSketches | None) -> "MarketLearner":
    # Imported on the thread that loads.
    from market_node.learning import new_learner  # noqa: PLC0415

    config = kit.config
    folder = VectorFolder(config.storage / VECTORS_FOLDER)
    access = EmbeddingAccess(config.embedding_path, folder, encoding_logged(kit.log))
    learner = new_learner(config, kit.plan, data, sketches.state.sketch() if sketches else None, access)
    kit.log.info(LEARNER_READY)
    return learner


def _training(kit: _Kit, setup: NodeSetup, learner: Callable[[], "MarketLearner"]) -> Train:
    def train(manifest: RoundManifest, parameters: Vector) -> Trained:
        able = learner()
        from market_node.learning import MarketTrainer, PrivateTrainer  # noqa: PLC0415 - as above

        privacy = kit.plan.privacy
        if isinstance(privacy, NoPrivacySection):
            return MarketTrainer(able, setup.plan.releases_validation, kit.log).train(manifest, parameters)
        loss = kit.plan.local_training.loss
        return PrivateTrainer(able, privacy, loss, secrets.token_bytes).train(manifest, parameters)

    return train


def _report(kit: _Kit, data: MarketSequences, shared: Vector, learner: "MarketLearner") -> None:
    from market_node.report import fine_tune_and_report  # noqa: PLC0415 - as above

    fine_tune_and_report(
        learner,
        data,
        shared,
        wanted=kit.config.report,
        origin=_origin(kit.plan, shared),
        settings=kit.config.data,
        folder=kit.config.storage,
        log=kit.log,
    )


def _origin(plan: Plan, shared: Vector) -> OriginFacts:
    return OriginFacts(
        run=plan.run.name,
        planned_rounds=plan.run.rounds,
        plan_hash=plan.hash().hex(),
        shared_model_hash=parameters_hash(shared).hex(),
        privacy=plan.privacy.model_dump(mode="json"),
    )


def _setup(kit: _Kit, num_parameters: int) -> NodeSetup:
    identity = load_identity(kit.config.identity)
    me = NodeId(kit.config.market)
    if kit.roster.nodes.get(me) != identity.public:
        raise ConfigError(
            f"this identity is not {me}'s in the roster",
            remedy="use the identity.key, roster.toml and node.toml of one kit",
            source=str(kit.config.identity),
        )
    return NodeSetup(
        me=me,
        identity=identity,
        roster=kit.roster,
        plan=kit.plan.federation(),
        policy=kit.config.policy,
        num_parameters=num_parameters,
        version=__version__,
        accountants=ACCOUNTANTS,
    )


async def _federate(
    kit: _Kit,
    setup: NodeSetup,
    state: NodeState,
    loading: "Loading[MarketLearner]",
    sketches: MarketSketches | None,
) -> int:
    """Take part until the final model is stored; return the exit code."""
    files = TlsFiles(kit.config.tls.ca, kit.config.tls.certificate, kit.config.tls.key)
    warn_of_expiry(kit.log, utc_now(), files.authority, files.certificate)
    client = NodeClient(kit.config.coordinator, files, clock=utc_now)
    kit.watching.count_with(client.meter)
    train = _training(kit, setup, loading.learner)
    driver = NodeDriver(
        setup, state.memory(), state, train, log=kit.log, sketches=sketches, rehearsal=kit.rehearsal
    )
    async with client:
        ended = await loading.beside(driver.run(client), client.knocked)
    match ended:
        case Done():
            return DONE
        case Refused(reason=reason):
            kit.log.error("refused_by_coordinator", reason=reason)
            return FAILED
