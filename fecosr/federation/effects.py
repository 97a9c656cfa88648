"""What the two state machines ask their drivers to do, apart from storing records."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fecosr.federation.aggregation import RingVector, Vector
from fecosr.federation.messages import CoordinatorMessage, NodeMessage, Release, RoundManifest
from fecosr.federation.optimisers import OptimiserState
from fecosr.ids import NodeId
from fecosr.ledger.countersignature import Countersignature, KeptHead
from fecosr.ledger.log import Entry
from fecosr.privacy.budget import BudgetRecord
from fecosr.secagg.client import SurvivorsSigned


@dataclass(frozen=True, slots=True)
class Observed:
    """Put one event into the log. Fields are names, counts and reasons, never data or secrets."""

    event: str
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ModelStored:
    """Keep a shared model under its hash (coordinator's record)."""

    model_hash: bytes
    parameters: Vector = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class OptimiserStateStored:
    """Keep what the server optimiser remembers under its hash, for a coordinator that starts again."""

    state_hash: bytes
    state: OptimiserState


@dataclass(frozen=True, slots=True, eq=False)
class SumStored:
    """Keep an opened sum, uint32 [length], under its hash, so that an auditor can redo the server's step."""

    sum_hash: bytes
    total: RingVector = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceStored:
    """Keep the evidence of a conviction under its hash, so that an auditor can verify it."""

    evidence_hash: bytes
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class SketchStored:
    """Keep the opened sum of sketches, float32 [length], under its hash (coordinator's record)."""

    sketch_hash: bytes
    sketch: Vector = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToNode:
    """Send a message to one node, if it is still connected."""

    node: NodeId
    message: CoordinatorMessage


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection of a node after everything sent so far has left."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class CountersignatureStored:
    """Keep what a node signed of the ledger; the run folder says so who vouches for how much."""

    statement: Countersignature


CoordinatorRecord = (
    ModelStored
    | OptimiserStateStored
    | SumStored
    | SketchStored
    | EvidenceStored
    | CountersignatureStored
    | Entry
)
"""The entry that names the others is the release; what is stored before it is not yet released.

A conviction counts from the entry that names its evidence.
"""
CoordinatorOutgoing = ToNode | Disconnect | Observed


@dataclass(frozen=True, slots=True)
class AttemptClaimed:
    """Remember the latest attempt this node takes part in, and the one model it trains on in this round.

    An earlier or equal attempt is refused for ever, and so are another model in this round and this model in
    another round: each would open a second sum of almost the same updates, perhaps over fewer nodes.
    """

    round: int
    attempt: int
    model_hash: bytes


@dataclass(frozen=True, slots=True)
class CheckpointKept:
    """Keep a head of the ledger as coordinator and node signed it, before the node's signature leaves."""

    kept: KeptHead


@dataclass(frozen=True, slots=True)
class ReleaseSeen:
    """Remember what the coordinator said a round released: later rounds and the end must fit to it."""

    round: int
    release: Release


@dataclass(frozen=True, slots=True)
class SketchSeen:
    """Remember which sum of sketches the coordinator spoke of: every later round and the end must name it."""

    sketch_hash: bytes


@dataclass(frozen=True, slots=True)
class SumOpened:
    """Remember, before its shares leave, over which nodes this node let the sum on a model be opened.

    A second sum over the same model with other nodes would show the difference, which can be one market's
    update; so from here on this node helps to open only sums over exactly these nodes for this model.
    """

    model_hash: bytes
    survivors: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class ToCoordinator:
    """Send a message to the coordinator."""

    message: NodeMessage


@dataclass(frozen=True, slots=True)
class TrainLocally:
    """Fetch what the manifest names, train on the model, and answer with `Training.trained(...)`."""

    manifest: RoundManifest


@dataclass(frozen=True, slots=True)
class MakeSketch:
    """Sketch this market's behaviour, and answer with `Training.trained(...)`; nothing is fetched for it."""

    manifest: RoundManifest


@dataclass(frozen=True, slots=True)
class StartSession:
    """Draw 32 fresh bytes from the operating system and answer with `Ready.start_session(...)`."""

    manifest: RoundManifest


@dataclass(frozen=True, slots=True)
class KeepFinalModel:
    """Fetch the final model by its hash, store it, and answer with `Closing.final_model_kept()`.

    Attributes:
        model_hash: of the model.
        sketch_hash: of the sum of sketches, which must be stored before the model; None without any.
    """

    model_hash: bytes
    sketch_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class FineTune:
    """Leave the federation and fine-tune the stored final model; the driver's last task."""

    model_hash: bytes


NodeRecord = (
    AttemptClaimed | CheckpointKept | ReleaseSeen | SketchSeen | SurvivorsSigned | SumOpened | BudgetRecord
)
NodeOutgoing = ToCoordinator | TrainLocally | MakeSketch | StartSession | KeepFinalModel | FineTune | Observed
