"""Read from the recorded plan what the records of a run must conform to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fecosr.errors import LedgerError
from fecosr.federation.ending import EarlyStopping, Schedule
from fecosr.federation.optimisers import Adaptive, ServerOptimiser, Sgd
from fecosr.federation.sketch import SketchTerms
from fecosr.federation.user_privacy import DistributedPrivacy, LocalPrivacy, UserPrivacy

_Value = TypeVar("_Value", int, float, str)


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """Hold the plan's values that records are judged by; the rest of the plan is only hashed.

    Attributes:
        releases_validation: whether the mean validation metric is released with every sum.
        early_stopping: when the run ends before its last round; None: never.
        participation: share or number of the markets invited to a round.
        max_loss: bound on a reported loss; part of how sums are encoded.
        server: the server optimiser; None when the plan names none that this version knows.
        privacy: what is promised to users; None in mode "none".
        sketch: of round 0; None when there is none.
    """

    run: str
    rounds: int
    n_min: int
    max_colluding: int
    participation: float
    clip_norm: float
    ring_bits: int
    mode: str
    releases_validation: bool
    early_stopping: EarlyStopping | None
    max_loss: float
    server: ServerOptimiser | None
    privacy: UserPrivacy | None
    sketch: SketchTerms | None = None

    @property
    def schedule(self) -> Schedule:
        """Return the rule that says when the run is over."""
        return Schedule(self.rounds, self.early_stopping)


def plan_terms(plan_json: str) -> PlanTerms:
    """Return the terms of the plan whose canonical text this is.

    Only these values are read, so that plans of other versions, with other settings, stay auditable.

    Raises:
        LedgerError: rule "plan": a value is missing or has another type.
    """
    try:
        plan = json.loads(plan_json, object_pairs_hook=_without_duplicates)
        privacy = _privacy(plan["privacy"])
        return PlanTerms(
            run=_typed(plan["run"]["name"], str),
            rounds=_typed(plan["run"]["rounds"], int),
            n_min=_typed(plan["cohort"]["n_min"], int),
            max_colluding=_typed(plan["cohort"]["max_colluding"], int),
            participation=_number(plan["cohort"].get("participation", 1.0)),
            clip_norm=_clip_norm(privacy, plan["aggregation"]),
            ring_bits=_typed(plan["aggregation"]["ring_bits"], int),
            mode=_typed(plan["privacy"]["mode"], str),
            releases_validation=plan["privacy"].get("validation") == "released",
            early_stopping=_early_stopping(plan.get("early_stopping", {"patience": 0})),
            max_loss=_number(plan["aggregation"]["max_loss"]),
            server=_server(plan["aggregation"].get("server")),
            privacy=privacy,
            sketch=_sketch(plan.get("semantics", {}), plan["aggregation"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LedgerError(
            0, "plan", f"the recorded plan cannot be read: {type(error).__name__} {error}"
        ) from None


def _early_stopping(section: Mapping[str, object]) -> EarlyStopping | None:
    patience = _typed(section["patience"], int)
    return EarlyStopping(patience, _typed(section["min_rounds"], int)) if patience else None


def _sketch(semantics: Mapping[str, object], aggregation: Mapping[str, object]) -> SketchTerms | None:
    if semantics.get("kind") != "behaviour":
        return None
    length = _typed(semantics["sketch_buckets"], int) * _typed(semantics["dimension"], int)
    return SketchTerms(length, _number(aggregation["sketch_norm"]))


def _clip_norm(privacy: UserPrivacy | None, aggregation: Mapping[str, object]) -> float:
    if isinstance(privacy, DistributedPrivacy):
        return privacy.clip_norm
    return _number(aggregation["clip_norm"])


def _privacy(section: Mapping[str, object]) -> UserPrivacy | None:
    mode = section["mode"]
    if mode == "none":
        return None
    numbers: dict[str, Any] = {
        name: _number(section[name])
        for name in (
            "epsilon",
            "delta",
            "clip_norm",
            "noise_multiplier",
            "sampling_probability",
            "expected_users",
        )
    }
    privacy: UserPrivacy
    match mode:
        case "distributed":
            privacy = DistributedPrivacy(**numbers)
        case "local":
            privacy = LocalPrivacy(**numbers, steps=_typed(section["steps"], int))
        case _:
            raise ValueError("privacy.mode is none that this version knows")
    for name in ("privacy_unit", "neighboring_relation", "holds_against"):
        if section[name] != getattr(privacy, name):
            raise ValueError(f"privacy.{name} is none that this version knows")
    return privacy


def _server(section: object) -> ServerOptimiser | None:
    match section:
        case {"optimiser": "sgd", "learning_rate": learning_rate, "momentum": momentum}:
            return Sgd(learning_rate=_number(learning_rate), momentum=_number(momentum))
        case {"optimiser": "adam" | "yogi" as optimiser, **settings}:
            names = ("learning_rate", "beta1", "beta2", "tau")
            return Adaptive(optimiser, *(_number(settings[name]) for name in names))
        case _:
            return None


def _typed(value: object, wanted: type[_Value]) -> _Value:
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise TypeError(f"{value!r} is not a value for this setting")
    return value


def _number(value: object) -> float:
    return float(_typed(value, int)) if isinstance(value, int) else _typed(value, float)


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found
