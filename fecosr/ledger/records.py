"""The record bodies: one frozen dataclass per kind of event in the life of a run.

Order in a ledger: `RunOpened`; then, for each attempt at a round, `RoundOpened`, `CohortFixed`,
`SurvivorsFixed`, `UnmaskingBegun` and `RoundReleased` (or `RoundAborted` any time after `RoundOpened`), and
before the last of these a `NodeConvicted` for each conviction; last, `RunCompleted` or `RunAborted`.
Where semantics are made from behaviour, round 0 comes first and ends with `SketchReleased`.
A coordinator that comes back appends `CoordinatorRestarted` before anything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from fecosr.errors import LedgerError, MisuseError
from fecosr.ids import NodeId, RunId
from fecosr.ledger.schema import Digest, PublicKey, SchemaError, Signature, from_json, to_json


@dataclass(frozen=True, slots=True)
class PrivacyTerms:
    """State what is promised about one member of the privacy unit.

    Attributes:
        mode: "none": the exact sum of the survivors' updates is opened, so epsilon is unbounded;
            "distributed": every sum carries noise of which each node added a share;
            "local": every node's update carries noise enough by itself.
        privacy_unit: whose data two neighbouring data sets differ in.
        neighboring_relation: how they differ.
        clip_norm: L2 bound, in mode "none" on the update of one node, not of one user; else of one user.
        epsilon: what the whole run may cost any user; None: no bound.
        delta: at this delta.
    """

    mode: Literal["none", "distributed", "local"]
    privacy_unit: Literal["user"]
    neighboring_relation: Literal["add_or_remove_one"]
    clip_norm: float
    epsilon: float | None
    delta: float | None

    def __post_init__(self) -> None:
        is_bounded = self.mode != "none"
        if (self.epsilon is not None, self.delta is not None) != (is_bounded, is_bounded):
            raise MisuseError("epsilon and delta stand in private terms and in no others")


@dataclass(frozen=True, slots=True)
class NoiseFields:
    """Repeat the noise that a signed round manifest states."""

    clip_units: int
    share_variance: int
    num_shares: int


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """Repeat a privacy event, field by field as `fecosr.privacy.events` writes it."""

    kind: Literal["poisson_integer_gaussian"]
    sampling_probability: float
    clip_units: int
    share_variance: int
    num_shares: int
    num_parameters: int
    steps: int


@dataclass(frozen=True, slots=True)
class ManifestFields:
    """Repeat the fields of the signed round manifest (see `fecosr.federation.messages.RoundManifest`)."""

    run: RunId
    round: int
    attempt: int
    plan_hash: Digest
    model_hash: Digest
    num_parameters: int
    clip_norm: float
    num_summands: int
    n_min: int
    max_colluding: int
    ring_bits: int
    ledger_size: int
    ledger_root: Digest
    noise: NoiseFields | None
    sketch_hash: Digest | None


@dataclass(frozen=True, slots=True)
class RecordedAdvert:
    """Repeat a client's signed key advert (see `fecosr.secagg.messages.KeyAdvert`); all of it is public."""

    client: NodeId
    channel_public: PublicKey
    mask_public: PublicKey
    seed_commitment: Digest
    signature: Signature


@dataclass(frozen=True, slots=True)
class RecordedSignature:
    """Repeat one client's signature of the survivor list."""

    client: NodeId
    signature: Signature


@dataclass(frozen=True, slots=True)
class RunOpened:
    """Open a run: what was agreed, by whom, and where the shared model starts.

    Attributes:
        run: the run's name.
        plan_hash: SHA-256 of `plan_json`.
        plan_json: canonical text of the federation plan.
        roster: identity public key of every node.
        coordinator: identity public key of the coordinator.
        version: the coordinator's FeCoSR version.
        initial_model_hash: SHA-256 of the shared parameters before round 1.
        num_parameters: length of the shared parameter vector.
        privacy: what is promised to a user.
    """

    run: RunId
    plan_hash: Digest
    plan_json: str
    roster: Mapping[NodeId, PublicKey]
    coordinator: PublicKey
    version: str
    initial_model_hash: Digest
    num_parameters: int
    privacy: PrivacyTerms


@dataclass(frozen=True, slots=True)
class RoundOpened:
    """Open one attempt at a round.

    Attributes:
        manifest: what every node was told, and `manifest_signature` the coordinator's over it.
        expected: the nodes that were asked, sorted.
    """

    round: int
    attempt: int
    manifest: ManifestFields
    manifest_signature: Signature
    expected: tuple[NodeId, ...]

    def __post_init__(self) -> None:
        _require_sorted("expected", self.expected)


@dataclass(frozen=True, slots=True)
class CohortFixed:
    """Fix who takes part, by the key adverts they signed, sorted by client."""

    round: int
    attempt: int
    session: Digest
    adverts: tuple[RecordedAdvert, ...]

    def __post_init__(self) -> None:
        _require_sorted("adverts", tuple(advert.client for advert in self.adverts))


@dataclass(frozen=True, slots=True)
class SurvivorsFixed:
    """Fix whose masked vectors are in the sum, before anything is unmasked, and why the others are not."""

    round: int
    attempt: int
    session: Digest
    survivors: tuple[NodeId, ...]
    dropouts: Mapping[NodeId, str]

    def __post_init__(self) -> None:
        _require_sorted("survivors", self.survivors)


@dataclass(frozen=True, slots=True)
class UnmaskingBegun:
    """Say that a quorum signed the survivors and was asked for shares: from here on their sum may be open."""

    round: int
    attempt: int
    session: Digest


@dataclass(frozen=True, slots=True)
class NodeConvicted:
    """Convict a market of wrong shares: it is left out of later attempts while enough others are there.

    Attributes:
        session: the session it happened in.
        market: who is convicted.
        fault: of what (see `fecosr.secagg.evidence.Fault`).
        evidence: SHA-256 of the file that proves it to everybody who knows the roster.
    """

    round: int
    attempt: int
    session: Digest
    market: NodeId
    fault: Literal["changed_share", "misdealt_shares", "unusable_shares"]
    evidence: Digest


@dataclass(frozen=True, slots=True)
class RoundReleased:
    """Release the sum of one round and the model made from it.

    Attributes:
        survivors: whose updates are in the sum, sorted.
        consistency_signatures: the quorum that signed this survivor list, sorted by client.
        total_hash: SHA-256 of the opened sum (uint32, little endian).
        model_in: hash of the parameters the round started from.
        model_out: hash of the parameters after the server optimiser.
        optimiser_state: hash of what the server optimiser remembers after this round.
        validation: the survivors' weighted mean validation NDCG@10 of the parameters the round started from;
            None when the plan hides it, or none of them has validation users.
        privacy_event: what the release costs each user; None: it is not private, and no epsilon is finite.
    """

    round: int
    attempt: int
    session: Digest
    survivors: tuple[NodeId, ...]
    consistency_signatures: tuple[RecordedSignature, ...]
    total_hash: Digest
    model_in: Digest
    model_out: Digest
    optimiser_state: Digest
    validation: float | None
    privacy_event: RecordedEvent | None

    def __post_init__(self) -> None:
        _require_sorted("survivors", self.survivors)
        signers = tuple(signature.client for signature in self.consistency_signatures)
        _require_sorted("consistency_signatures", signers)


@dataclass(frozen=True, slots=True)
class SketchReleased:
    """Release the sum of the markets' behaviour sketches; there is one in a run, or none.

    Attributes:
        survivors: whose sketches are in the sum, sorted.
        consistency_signatures: the quorum that signed this survivor list, sorted by client.
        total_hash: SHA-256 of the opened sum (uint32, little endian).
        sketch_hash: SHA-256 of what it says (float32, little endian); every later manifest names it.
    """

    round: int
    attempt: int
    session: Digest
    survivors: tuple[NodeId, ...]
    consistency_signatures: tuple[RecordedSignature, ...]
    total_hash: Digest
    sketch_hash: Digest

    def __post_init__(self) -> None:
        _require_sorted("survivors", self.survivors)
        signers = tuple(signature.client for signature in self.consistency_signatures)
        _require_sorted("consistency_signatures", signers)


@dataclass(frozen=True, slots=True)
class RoundAborted:
    """End an attempt without a release.

    Attributes:
        reason: the typed reason as one word.
        detail: one sentence for the operator; never a value that came from a node's data.
        unmasked: whether the coordinator may have opened the sum all the same.
    """

    round: int
    attempt: int
    reason: str
    detail: str
    unmasked: bool


@dataclass(frozen=True, slots=True)
class RunCompleted:
    """End the run after `rounds` released rounds with the model whose hash this is."""

    rounds: int
    final_model_hash: Digest


@dataclass(frozen=True, slots=True)
class RunAborted:
    """Give the run up after `rounds` released rounds, for the reason of its last aborted attempt."""

    rounds: int
    reason: str


@dataclass(frozen=True, slots=True)
class CoordinatorRestarted:
    """Say that the coordinator came back.

    Attributes:
        round: the round that was under way; between two rounds the one released last, 0 before the first.
        attempt: attempts that had been made at it; 0 between two rounds.
    """

    round: int
    attempt: int


Body = (
    RunOpened
    | RoundOpened
    | CohortFixed
    | SurvivorsFixed
    | UnmaskingBegun
    | NodeConvicted
    | RoundReleased
    | SketchReleased
    | RoundAborted
    | RunCompleted
    | RunAborted
    | CoordinatorRestarted
)

KINDS: Final[Mapping[str, type[Body]]] = {
    "run_opened": RunOpened,
    "round_opened": RoundOpened,
    "cohort_fixed": CohortFixed,
    "survivors_fixed": SurvivorsFixed,
    "unmasking_begun": UnmaskingBegun,
    "node_convicted": NodeConvicted,
    "round_released": RoundReleased,
    "sketch_released": SketchReleased,
    "round_aborted": RoundAborted,
    "run_completed": RunCompleted,
    "run_aborted": RunAborted,
    "coordinator_restarted": CoordinatorRestarted,
}
"""Every kind a ledger may hold; anything else is refused."""

_KIND_OF: Final = {body_type: kind for kind, body_type in KINDS.items()}


def kind_of(body: Body) -> str:
    """Return the name under which `body` stands in a ledger."""
    return _KIND_OF[type(body)]


def body_to_json(body: Body) -> dict[str, object]:
    """Return `body` as a JSON object that names its kind."""
    fields = to_json(body)
    assert isinstance(fields, dict)  # noqa: S101 - a dataclass becomes an object
    return {"kind": kind_of(body), **fields}


def body_from_json(value: object, record: int) -> Body:
    """Return the body that stands in the JSON object `value`.

    Raises:
        LedgerError: unknown kind, unknown or missing key, wrong type, or a list out of order.
    """
    if not isinstance(value, dict):
        raise LedgerError(record, "schema", "the body is not an object")
    kind = value.get("kind")
    body_type = KINDS.get(kind) if isinstance(kind, str) else None
    if body_type is None:
        raise LedgerError(record, "schema", "unknown kind of record")
    fields = {name: part for name, part in value.items() if name != "kind"}
    try:
        body: Body = from_json(body_type, fields, str(kind))
    except SchemaError as error:
        raise LedgerError(record, "schema", str(error)) from None
    return body


def _require_sorted(name: str, nodes: tuple[NodeId, ...]) -> None:
    if any(left >= right for left, right in pairwise(nodes)):
        raise MisuseError(f"{name} must be sorted by node, each once")
