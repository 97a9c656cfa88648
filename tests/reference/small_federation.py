"""A small federation in memory: real keys, real secure aggregation, training replaced by a known update."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.federation.aggregation import Vector
from fecosr.federation.cohort import Roster
from fecosr.federation.contribution import LocalUpdate, NodeSetup
from fecosr.federation.ending import EarlyStopping
from fecosr.federation.messages import RoundManifest
from fecosr.federation.optimisers import Sgd
from fecosr.federation.plan import FederationPlan
from fecosr.federation.policy import NodePolicy
from fecosr.federation.progress import CoordinatorSetup
from fecosr.federation.sketch import SketchTerms
from fecosr.ids import NodeId, RunId
from fecosr.secagg.messages import Phase

NUM_PARAMETERS = 40
SKETCH_LENGTH = 64
SKETCH = SketchTerms(SKETCH_LENGTH, 50.0)


class SmallFederation:
    """Provision a coordinator and some markets, and train by adding a fixed vector per market."""

    def __init__(self, names: Iterable[str], **plan_changes: object) -> None:
        self.names = tuple(NodeId(name) for name in sorted(names))
        self.keys = {name: SigningKey(sha256(name.encode())) for name in self.names}
        self.coordinator_key = SigningKey(sha256(b"the coordinator"))
        self.roster = Roster(
            self.coordinator_key.public, {name: key.public for name, key in self.keys.items()}
        )
        values: dict[str, object] = {
            "run": RunId("test"),
            "rounds": 2,
            "max_attempts": 3,
            "n_min": 3,
            "max_colluding": 1,
            "participation": 1.0,
            "clip_norm": 10.0,
            "ring_bits": 32,
            "releases_validation": False,
            "early_stopping": None,
            "max_loss": 20.0,
            "reference_num_users": 100,
            "weight_exponent": 1.0,
            "server": Sgd(),
            "join_seconds": 30.0,
            "finish_seconds": 60.0,
            "phase_seconds": dict.fromkeys(Phase, 10.0),
        }
        changed = {**values, **plan_changes}
        self.plan = FederationPlan(**{"text": plan_text(changed), **changed})  # type: ignore[arg-type]
        self.setup = CoordinatorSetup(self.plan, self.roster, self.coordinator_key, "test")
        self.initial: Vector = np.linspace(-1.0, 1.0, NUM_PARAMETERS, dtype=np.float32)
        self._drawn = 0
        self.trained: list[tuple[NodeId, int, int]] = []

    def node(self, name: str, **changes: object) -> NodeSetup:
        values: dict[str, object] = {
            "me": NodeId(name),
            "identity": self.keys[NodeId(name)],
            "roster": self.roster,
            "plan": self.plan,
            "policy": NodePolicy(
                n_min=3,
                max_colluding=1,
                max_rounds=100,
                max_clip_norm=100.0,
                release_validation=True,
                release_sketch=True,
            ),
            "num_parameters": NUM_PARAMETERS,
            "version": "test",
        }
        return NodeSetup(**{**values, **changes})  # type: ignore[arg-type]

    def nodes(self) -> list[NodeSetup]:
        return [self.node(name) for name in self.names]

    def update(self, name: NodeId) -> Vector:
        """Return the update every round of this market yields, with norm below the clip norm."""
        place = self.names.index(name)
        return np.full(NUM_PARAMETERS, 0.1 * (place + 1), dtype=np.float32)

    def sketch(self, name: NodeId) -> Vector:
        """Return this market's sketch: rows of its own, and one that all have in common."""
        sketch = np.zeros(SKETCH_LENGTH, dtype=np.float32)
        sketch[[0, 1 + self.names.index(name)]] = [0.5, -1.25 * (1 + self.names.index(name))]
        return sketch

    def num_users(self, name: NodeId) -> int:
        return 10 * (self.names.index(name) + 1)

    def train(self, name: NodeId, manifest: RoundManifest, parameters: Vector) -> LocalUpdate:
        assert len(parameters) == NUM_PARAMETERS
        self.trained.append((name, manifest.round, manifest.attempt))
        return LocalUpdate(
            manifest.model_hash,
            self.update(name),
            self.num_users(name),
            1.5,
            validation=self.validation(name, manifest.round),
        )

    def validation(self, name: NodeId, round_number: int) -> float | None:
        """Return what this market measures of the model a round starts from; a test may replace it."""
        return 0.1 * round_number + 0.01 * self.names.index(name)

    def entropy(self, name: NodeId) -> bytes:
        self._drawn += 1
        return sha256(f"{name} {self._drawn}".encode())

    def mean_update(self, survivors: Iterable[NodeId]) -> Vector:
        """Return the weighted mean computed in the open, the oracle for what the protocol must yield."""
        survivors = list(survivors)
        weights = {name: min(1.0, self.num_users(name) / 100) for name in survivors}
        total = sum(weights.values())
        mean = sum(weights[name] * self.update(name).astype(np.float64) for name in survivors) / total
        return np.asarray(mean, dtype=np.float32)


def plan_text(values: Mapping[str, Any]) -> str:
    """Return the canonical text of a plan with these values, as far as an audit reads it."""
    aggregation = [name for name in ("clip_norm", "max_loss", "ring_bits") if name in values]
    plan: dict[str, dict[str, object]] = {
        "run": {"name": values["run"], "rounds": values["rounds"]},
        "cohort": {name: values[name] for name in ("n_min", "max_colluding", "participation")},
        "aggregation": {
            **{name: values[name] for name in aggregation},
            "server": asdict(values["server"]),
        },
        "privacy": _privacy(values),
        "early_stopping": asdict(values["early_stopping"] or EarlyStopping(0, 2)),
    }
    if values.get("sketch") is not None:
        plan["semantics"] = {
            "kind": "behaviour",
            "sketch_buckets": values["sketch"].length // 8,
            "dimension": 8,
        }
        plan["aggregation"]["sketch_norm"] = values["sketch"].norm
    return json.dumps(plan, sort_keys=True, separators=(",", ":"))


def _privacy(values: Mapping[str, Any]) -> dict[str, object]:
    if values.get("privacy") is None:
        validation = "released" if values["releases_validation"] else "hidden"
        return {"mode": "none", "validation": validation}
    return {"mode": values["privacy"].mode, **asdict(values["privacy"])}
