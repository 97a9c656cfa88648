"""What to run, what to break, what to expect."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from fecosr.config.plan import Plan
from fecosr.config.toml import Section, load
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.federation_file import MarketSection, check_markets
from fecosr.secagg.parameters import MAX_CLIENTS

RESERVED_NAMES = frozenset({"logs"})
"""Folders of a run that are no market's."""

Method = Literal["popularity", "local", "fecosr"]
METHODS: Final[tuple[Method, ...]] = ("popularity", "local", "fecosr")
Failpoint = Literal["training", "advertise_keys", "share_keys", "masked_input", "consistency", "unmask"]
COUNTED_BEFORE_KILL: frozenset[Failpoint] = frozenset({"consistency", "unmask"})
"""A market killed at one of these has delivered its masked vector: it is a survivor of the round."""


class Fault(Section):
    """Kill one process with SIGKILL just before it sends what a point of a round demands.

    Attributes:
        kind: what happens; a kill cannot be caught, cleaned up after or announced.
        target: a market, or "coordinator".
        round: in which round, from 1.
        phase: before which message: the end of the training, or one of the five phases.
        restart: whether the process is started again at once.
    """

    kind: Literal["kill"]
    target: str
    round: int = Field(ge=1)
    phase: Failpoint
    restart: bool

    def failpoint(self) -> str:
        """Return the value of FECOSR_FAILPOINT that makes a process do this to itself."""
        return f"{self.phase}@{self.round}=kill"


class Expect(Section):
    """State what must hold when everything is over. Every fault must also have happened.

    Attributes:
        rounds: rounds released; without it, as many as the plan has, or as it demands when it may end early.
        dropouts: per round, which markets are not in the sum; without it, what the faults imply.
        fine_tuned: which markets must end with a model and figures of their own.
        methods: methods that must have figures in each of those markets.
        min_users: fewest users a market must have had.
        audit: whether the run folder must pass the audit.
        max_seconds: for the whole run; then it is ended.
    """

    rounds: int | None = Field(default=None, ge=0)
    dropouts: dict[int, tuple[str, ...]] | None = None
    fine_tuned: Literal["all"] | tuple[str, ...] = "all"
    methods: tuple[Method, ...] = METHODS
    min_users: int = Field(default=1, ge=1)
    audit: Literal["verified", "skipped"] = "verified"
    max_seconds: float = Field(gt=0, le=24 * 3600)


class Scenario(Section):
    """Hold the whole of a scenario file."""

    name: str = Field(min_length=1, max_length=80)
    description: str = ""
    plan: Plan
    markets: tuple[MarketSection, ...] = Field(min_length=2, max_length=MAX_CLIENTS)
    faults: tuple[Fault, ...] = ()
    expect: Expect

    @field_validator("markets")
    @classmethod
    def _no_reserved_name(cls, markets: tuple[MarketSection, ...]) -> tuple[MarketSection, ...]:
        for market in markets:
            if market.name in RESERVED_NAMES:
                raise ValueError(f"no market can be called {market.name!r}: a run needs that folder")
        return markets

    @model_validator(mode="after")
    def _fits_together(self) -> "Scenario":
        check_markets(self.plan, self.markets)
        names = {market.name for market in self.markets}
        for fault in self.faults:
            _require_known([fault.target], names | {COORDINATOR}, "faults.target")
            if fault.round > self.plan.run.rounds:
                raise ValueError(f"faults.round: there is no round {fault.round}")
        for target in {fault.target for fault in self.faults}:
            if not all(fault.restart for fault in self.faults_of(target)[:-1]):
                raise ValueError(f"faults: {target} is killed again without having been restarted")
        for dropped in (self.expect.dropouts or {}).values():
            _require_known(dropped, names, "expect.dropouts")
        if self.expect.fine_tuned != "all":
            _require_known(self.expect.fine_tuned, names, "expect.fine_tuned")
        return self

    def by_name(self) -> dict[NodeId, MarketSection]:
        """Return the markets by name."""
        return {NodeId(market.name): market for market in self.markets}

    def faults_of(self, target: str) -> tuple[Fault, ...]:
        """Return what is done to `target`, in order."""
        return tuple(fault for fault in self.faults if fault.target == target)

    def fault_at(self, target: str, times: int) -> Fault | None:
        """Return what is done to the `times`-th start of `target`, from 1."""
        return dict(enumerate(self.faults_of(target), start=1)).get(times)

    def expected_rounds(self) -> range:
        """Return how many rounds may be released; that a run ended where it should is the audit's to say."""
        most = self.plan.run.rounds
        if self.expect.rounds is not None:
            return range(self.expect.rounds, self.expect.rounds + 1)
        early = self.plan.early_stopping
        return range(early.min_rounds if early.patience else most, most + 1)

    def expected_dropouts(self) -> dict[int, tuple[str, ...]]:
        """Return which markets must be missing from which rounds, rounds without any left out."""
        if self.expect.dropouts is not None:
            return {number: tuple(sorted(names)) for number, names in self.expect.dropouts.items() if names}
        implied: dict[int, tuple[str, ...]] = {}
        for fault in self.faults:
            if fault.target != COORDINATOR and fault.phase not in COUNTED_BEFORE_KILL:
                implied[fault.round] = tuple(sorted({*implied.get(fault.round, ()), fault.target}))
        return implied

    def expected_reports(self) -> tuple[str, ...]:
        """Return the markets that must have figures of their own."""
        if self.expect.fine_tuned != "all":
            return self.expect.fine_tuned
        lost = {fault.target for fault in self.faults if not fault.restart}
        return tuple(market.name for market in self.markets if market.name not in lost)


def load_scenario(path: Path) -> Scenario:
    """Return the scenario at `path`; relative data paths in it count from the folder it stands in.

    Raises:
        ConfigError: it cannot be used; the message names file, line and remedy.
    """
    scenario = load(path, Scenario)
    return scenario.model_copy(update={"markets": tuple(_anchored(m, path.parent) for m in scenario.markets)})


def shipped_scenarios() -> dict[str, Path]:
    """Return the scenarios that come with FeCoSR, by name."""
    folder = Path(str(files("fecosr.harness").joinpath("scenarios")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _anchored(market: MarketSection, folder: Path) -> MarketSection:
    if not market.data.path:
        return market
    path = str((folder / market.data.path).absolute())
    return market.model_copy(update={"data": replace(market.data, path=path)})


def _require_known(names: Sequence[str], known: Collection[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{where}: there is no market {name!r}")
