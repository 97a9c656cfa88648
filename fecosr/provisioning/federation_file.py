"""What the operator who sets a federation up writes: the plan, the markets, where the coordinator is."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, model_validator

from fecosr.config.address import Address
from fecosr.config.parties import MarketName, ReportSection
from fecosr.config.plan import Plan
from fecosr.config.toml import Section, load
from fecosr.data.settings import DataSettings
from fecosr.federation.cohort import num_invited
from fecosr.federation.policy import NodePolicy
from fecosr.ids import NodeId
from fecosr.secagg.parameters import MAX_CLIENTS
from fecosr.training.settings import Device


class MarketSection(Section):
    """Describe one market: its data, and what its node accepts.

    Attributes:
        name: the market's name, which is also the name of its kit.
        data: where its interactions are, on its own machine.
        policy: what its node accepts; without it, exactly what the plan says and nothing weaker.
        report: what its node measures for its own operator.
        num_threads: of its node's arithmetic.
        num_shards: processes among which its node divides the catalogue; above 1 it is started by torchrun.
        device: where its node trains; "auto" is a GPU where its machine has one.
        embedding_path: the folder of the text model, or the file of vectors, on its machine, where the plan's
            kind of semantics has one.
    """

    name: MarketName
    data: DataSettings
    policy: NodePolicy | None = None
    report: ReportSection = ReportSection()
    num_threads: int = Field(default=1, ge=1, le=256)
    num_shards: int = Field(default=1, ge=1, le=64)
    device: Device = "auto"
    embedding_path: Path | None = None

    def policy_under(self, plan: Plan) -> NodePolicy:
        """Return the market's policy: its own, or the plan's numbers as its limits."""
        return self.policy or policy_of(plan)


class CoordinatorSection(Section):
    """Say where the coordinator is.

    Attributes:
        address: host and port under which the market nodes reach it; its certificate is made for this host.
        listen: interface and port it binds; without it, every interface at the port of `address`.
    """

    address: Address
    listen: Address | None = None

    def interface(self) -> str:
        """Return the interface and port the coordinator binds."""
        return self.listen or f"0.0.0.0:{self.address.rpartition(':')[2]}"


class FoundingFile(Section):
    """Hold the whole of a FEDERATION.toml whose markets make their own keys and name themselves."""

    coordinator: CoordinatorSection
    plan: Plan
    certificate_days: int = Field(default=365, ge=1, le=3650)


class FederationFile(FoundingFile):
    """Hold the whole of a FEDERATION.toml that lists its markets."""

    markets: tuple[MarketSection, ...] = Field(min_length=2, max_length=MAX_CLIENTS)

    @model_validator(mode="after")
    def _fits_together(self) -> "FederationFile":
        check_markets(self.plan, self.markets)
        return self

    def by_name(self) -> dict[NodeId, MarketSection]:
        """Return the markets by name."""
        return {NodeId(market.name): market for market in self.markets}


def policy_of(plan: Plan) -> NodePolicy:
    """Return the policy that accepts exactly what `plan` says and nothing weaker."""
    privacy = plan.federation().privacy
    return NodePolicy(
        n_min=plan.cohort.n_min,
        max_colluding=plan.cohort.max_colluding,
        max_rounds=plan.run.rounds,
        max_clip_norm=plan.clip_norm,
        min_ring_bits=plan.aggregation.ring_bits,
        release_validation=plan.releases_validation,
        release_sketch=plan.sketch_terms() is not None,
        max_epsilon=privacy.epsilon if privacy else None,
        max_delta=privacy.delta if privacy else None,
        privacy_mode=privacy.mode if privacy else None,
    )


def check_markets(plan: Plan, markets: Sequence[MarketSection]) -> None:
    """Refuse markets that cannot be told apart, and a plan that needs more markets than there are.

    Raises:
        ValueError: says which.
    """
    names = [market.name for market in markets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two markets are called {', '.join(twice)}")
    if plan.cohort.n_min > len(names):
        raise ValueError(
            f"plan.cohort.n_min is {plan.cohort.n_min}, there are {len(names)} markets: no round could open"
        )
    count = num_invited(plan.cohort.participation, len(names))
    if count < plan.cohort.n_min:
        raise ValueError(
            f"plan.cohort.n_min is {plan.cohort.n_min}, plan.cohort.participation invites {count} of "
            f"{len(names)} markets: no round could open"
        )


def load_federation(path: Path) -> FederationFile:
    """Return a FEDERATION.toml that lists its markets.

    Raises:
        ConfigError: it cannot be used; the message names file, line and remedy.
    """
    return load(path, FederationFile)
