"""What to run, what to break, what to expect."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, field_validator, model_validator

from fecosr.config.plan import Plan
from fecosr.config.privacy import NoPrivacySection
from fecosr.config.toml import Section, read_toml, validate
from fecosr.errors import ConfigError
from fecosr.harness.expect import Expect
from fecosr.harness.faults import (
    COUNTED_BEFORE_KILL,
    AnyFault,
    ClockSkew,
    Garbage,
    Kill,
    Lie,
    failpoint,
    targets_of,
)
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.federation_file import MarketSection, check_markets
from fecosr.secagg.parameters import MAX_CLIENTS

RESERVED_NAMES = frozenset({"logs"})
"""Folders of a run that are no market's."""

ANY: Final = "any"
BASE: Final = "base"
BASES_FOLDER: Final = "bases"


class Scenario(Section):
    """Hold the whole of a scenario file, with that of its base underneath."""

    name: Annotated[str, Field(min_length=1, max_length=80, description="shown to people")]
    description: Annotated[str, Field(description="one line: what happens, and what comes of it")] = ""
    plan: Annotated[Plan, Field(description="the plan of the run, as in plan.toml")]
    markets: Annotated[
        tuple[MarketSection, ...],
        Field(min_length=2, max_length=MAX_CLIENTS, description="as in a federation file, data and all"),
    ]
    faults: Annotated[tuple[AnyFault, ...], Field(description="what is broken")] = ()
    expect: Annotated[Expect, Field(description="what must hold in the end")]

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
        self._check_faults()
        names = {market.name for market in self.markets}
        if isinstance(self.expect.dropouts, dict):
            for dropped in self.expect.dropouts.values():
                _require_known(dropped, names, "expect.dropouts")
        if self.expect.fine_tuned != "all":
            _require_known(self.expect.fine_tuned, names, "expect.fine_tuned")
        _require_known(list(self.expect.refusals), names, "expect.refusals")
        _require_known([*self.expect.exits, *self.expect.said], names | {COORDINATOR}, "expect")
        if self.expect.ends == "refused" and not self.expect.refusals:
            raise ValueError('expect.refusals: is needed where expect.ends is "refused"')
        if self.expect.sums == "recomputed" and not isinstance(self.plan.privacy, NoPrivacySection):
            raise ValueError("expect.sums: noise cannot be recomputed")
        return self

    def _check_faults(self) -> None:
        names = {market.name for market in self.markets}
        first = self.plan.federation().first_round
        for fault in self.faults:
            _require_known(targets_of(fault), names | {COORDINATOR}, "faults.target")
            number = getattr(fault, "round", None)
            if number is not None and not first <= number <= self.plan.run.rounds:
                raise ValueError(f"faults.round: there is no round {number}")
        for target in {fault.target for fault in self.phase_kills()}:
            if not all(fault.restart for fault in self.phase_kills(target)[:-1]):
                raise ValueError(f"faults: {target} is killed again without having been restarted")
        lies = [fault for fault in self.faults if isinstance(fault, Lie)]
        if len(lies) > 1:
            raise ValueError("faults: a coordinator tells one lie at a time")
        if lies and self.expect.audit != "skipped":
            raise ValueError('expect.audit: a coordinator that lies keeps nothing; write audit = "skipped"')

    def by_name(self) -> dict[NodeId, MarketSection]:
        """Return the markets by name."""
        return {NodeId(market.name): market for market in self.markets}

    def phase_kills(self, target: str = "") -> tuple[Kill, ...]:
        """Return the kills at points of rounds, of `target` if one is named, in order."""
        kills = (it for it in self.faults if isinstance(it, Kill) and it.phase is not None)
        return tuple(kill for kill in kills if target in {"", kill.target})

    def lie(self) -> Lie | None:
        """Return the lie that this scenario is about, if it is about one."""
        return next((fault for fault in self.faults if isinstance(fault, Lie)), None)

    def clock_offset_seconds(self, name: str) -> float:
        """Return how far the clock of a process is ahead."""
        skews = (it for it in self.faults if isinstance(it, ClockSkew) and it.target == name)
        return sum(skew.seconds for skew in skews)

    def expected_rounds(self) -> range:
        """Return how many rounds may be released; that a run ended where it should is the audit's to say."""
        most = self.plan.run.rounds
        if self.expect.rounds is not None:
            return range(self.expect.rounds, self.expect.rounds + 1)
        if self.expect.ends != "completed":
            return range(most)
        early = self.plan.early_stopping
        return range(early.min_rounds if early.patience else most, most + 1)

    def expected_dropouts(self) -> dict[int, tuple[str, ...]] | None:
        """Return which markets must be missing from which rounds, the others left out; None: any may be."""
        if self.expect.dropouts == ANY:
            return None
        if isinstance(self.expect.dropouts, dict):
            return {number: tuple(sorted(names)) for number, names in self.expect.dropouts.items() if names}
        if not all(isinstance(it, ClockSkew | Garbage) or _is_phase_kill(it) for it in self.faults):
            return None
        implied: dict[int, tuple[str, ...]] = {}
        for fault in self.phase_kills():
            if (
                fault.round is not None
                and fault.target != COORDINATOR
                and fault.phase not in COUNTED_BEFORE_KILL
            ):
                implied[fault.round] = tuple(sorted({*implied.get(fault.round, ()), fault.target}))
        return implied

    def expected_reports(self) -> tuple[str, ...]:
        """Return the markets that must have figures of their own."""
        if self.expect.fine_tuned != "all":
            return self.expect.fine_tuned
        if self.expect.ends != "completed":
            return ()
        lost = {fault.target for fault in self.faults if isinstance(fault, Kill) and not fault.restart}
        return tuple(it.name for it in self.markets if it.name not in lost | self.expect.exits.keys())


def load_scenario(path: Path) -> Scenario:
    """Return the scenario at `path`; relative data paths in it count from the folder it stands in.

    Where the file says `base = "other.toml"`, what it does not say is taken from there: tables are merged key
    by key, everything else is replaced.

    Raises:
        ConfigError: it cannot be used; the message names file, line and remedy.
    """
    text, values = _with_base(path)
    scenario = validate(values, Scenario, source=str(path), text=text)
    return scenario.model_copy(update={"markets": tuple(_anchored(m, path.parent) for m in scenario.markets)})


def shipped_scenarios() -> dict[str, Path]:
    """Return the scenarios that come with FeCoSR, by name."""
    folder = Path(str(files("fecosr.harness").joinpath("scenarios")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _with_base(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a scenario file, and its values over those of its base."""
    text, values = read_toml(path)
    base = values.pop(BASE, None)
    if base is None:
        return text, values
    if not isinstance(base, str):
        raise ConfigError("base: is not a path", remedy="name a TOML file", source=str(path))
    # A shipped base can be named from anywhere.
    shipped = Path(str(files("fecosr.harness").joinpath("scenarios"))) / BASES_FOLDER / f"{base}.toml"
    below = shipped if shipped.is_file() else path.parent / base
    _, under = read_toml(below)
    if BASE in under:
        raise ConfigError("base: a base has none itself", remedy="merge the two", source=str(below))
    return text, _merged(under, values)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(below, value)
        else:
            merged[name] = value
    return merged


def _is_phase_kill(fault: object) -> bool:
    return isinstance(fault, Kill) and bool(failpoint(fault))


def _anchored(market: MarketSection, folder: Path) -> MarketSection:
    if not market.data.path:
        return market
    path = str((folder / market.data.path).absolute())
    return market.model_copy(update={"data": replace(market.data, path=path)})


def _require_known(names: Sequence[str], known: Collection[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{where}: there is no market {name!r}")
