"""What one attempt at a round consists of on the coordinator, and the two ways it can end."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fecosr.errors import CryptoError
from fecosr.federation.aggregation import Vector, is_finite, parameters_hash, sum_hash, weight_of
from fecosr.federation.contents import OpenedSum, contents_length, open_sum, update_encoding
from fecosr.federation.effects import (
    CoordinatorOutgoing,
    CoordinatorRecord,
    EvidenceStored,
    ModelStored,
    Observed,
    OptimiserStateStored,
    SketchStored,
    SumStored,
    ToNode,
)
from fecosr.federation.evidence import evidence_bytes, evidence_hash
from fecosr.federation.messages import Outcome, Release, RoundClosed, RoundManifest, SketchRelease
from fecosr.federation.private_rounds import mechanism_of
from fecosr.federation.progress import CoordinatorSetup, Progress
from fecosr.federation.recorded import recorded_event
from fecosr.federation.sketch import SKETCH_ROUND, open_sketch
from fecosr.ids import NodeId
from fecosr.ledger.records import (
    NodeConvicted,
    RecordedEvent,
    RecordedSignature,
    RoundAborted,
    RoundReleased,
    SketchReleased,
)
from fecosr.privacy.clipping import l2_norm
from fecosr.secagg import server as secagg
from fecosr.secagg.encoding import NORM_SLACK
from fecosr.secagg.evidence import Conviction
from fecosr.secagg.parameters import SecAggParameters
from fecosr.transition import Transition


@dataclass(frozen=True, slots=True)
class Attempt:
    """Hold what an attempt knows, apart from its secure aggregation.

    Attributes:
        manifest: what every node was told.
        started: when it was opened, in driver seconds.
        session: the secure aggregation's, once its cohort is fixed; empty before.
        survivors: whose masked vectors are in the sum, once that is fixed.
    """

    setup: CoordinatorSetup
    progress: Progress
    manifest: RoundManifest
    started: float
    session: bytes = b""
    survivors: tuple[NodeId, ...] = ()

    def observed(self, event: str, **fields: object) -> Observed:
        """Return a log event that names this attempt."""
        return Observed(event, {"round": self.manifest.round, "attempt": self.manifest.attempt, **fields})

    def length(self) -> int:
        """Return how many ring elements a masked vector of this attempt has."""
        return contents_length(self.manifest, self.setup.plan)

    def secagg_parameters(self) -> SecAggParameters:
        """Return what the manifest says about its secure aggregation."""
        return SecAggParameters(
            context=self.manifest.context(),
            length=self.length(),
            n_min=self.manifest.n_min,
            max_colluding=self.manifest.max_colluding,
            ring_bits=self.manifest.ring_bits,
        )


@dataclass(frozen=True, slots=True)
class Released:
    """End a round with a new shared model, already part of `progress`."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class Failed:
    """End an attempt without a release, for a named reason."""

    progress: Progress
    reason: str


Ending = Released | Failed
EndingTransition = Transition[Ending, CoordinatorRecord, CoordinatorOutgoing]


def release(attempt: Attempt, completed: secagg.Completed, now: float) -> EndingTransition:
    """Turn the opened sum into what the round releases, or refuse a sum that cannot be that."""
    if attempt.manifest.round == SKETCH_ROUND:
        return _release_sketch(attempt, completed, now)
    return _release_model(attempt, completed, now)


def _release_sketch(attempt: Attempt, completed: secagg.Completed, now: float) -> EndingTransition:
    """Release the sum of the markets' sketches; there is no server step."""
    try:
        sketch = open_sketch(completed.total, len(completed.survivors), attempt.manifest)
    except CryptoError as error:
        return abort(attempt, "bad_sum", str(error), unmasked=True)
    sketch_hash = parameters_hash(sketch)
    body = SketchReleased(
        round=attempt.manifest.round,
        attempt=attempt.manifest.attempt,
        session=completed.session,
        survivors=completed.survivors,
        consistency_signatures=_signatures(completed),
        total_hash=sum_hash(completed.total),
        sketch_hash=sketch_hash,
    )
    entry, progress = attempt.progress.recorded(body, attempt.setup.key)
    progress = progress.with_sketch(sketch, sketch_hash)
    progress, closed = _closed(attempt, progress, Outcome.RELEASED, "", SketchRelease(sketch_hash))
    outbox: tuple[CoordinatorOutgoing, ...] = (
        _released_event("sketch_released", attempt, completed, now),
        *closed,
    )
    stored = (SketchStored(sketch_hash, sketch), SumStored(body.total_hash, completed.total))
    return Transition(Released(progress), (*stored, entry), outbox)


def _release_model(attempt: Attempt, completed: secagg.Completed, now: float) -> EndingTransition:
    num_survivors = len(completed.survivors)
    try:
        opened = open_sum(completed.total, num_survivors, attempt.manifest, attempt.setup.plan)
        if opened.weight is not None:
            _check_mean(attempt, opened.step, num_survivors, opened.weight)
    except CryptoError as error:
        return abort(attempt, "bad_sum", str(error), unmasked=True)
    before = attempt.progress
    step = attempt.setup.plan.server.apply(before.parameters, opened.step, before.optimiser_state)
    if not is_finite(step.parameters):
        return abort(attempt, "bad_sum", "The next model would not be finite.", unmasked=True)
    model_hash = parameters_hash(step.parameters)
    if model_hash == attempt.manifest.model_hash:
        # Nodes rightly refuse to train on one model in two rounds.
        return abort(attempt, "model_unchanged", "The sum leaves the model as it was.", unmasked=True)
    released = Release(model_hash, opened.validation)
    body = _released_body(attempt, completed, released, step.state.hash())
    entry, progress = before.recorded(body, attempt.setup.key)
    progress = progress.with_release(released, step, attempt.setup.plan.schedule)
    progress, closed = _closed(attempt, progress, Outcome.RELEASED, "", released)
    outbox: tuple[CoordinatorOutgoing, ...] = (
        _released_event("round_released", attempt, completed, now, **_figures(opened)),
        *closed,
    )
    stored = (
        ModelStored(model_hash, step.parameters),
        OptimiserStateStored(body.optimiser_state, step.state),
        SumStored(body.total_hash, completed.total),
    )
    return Transition(Released(progress), (*stored, entry), outbox)


def abort(attempt: Attempt, reason: str, detail: str, *, unmasked: bool) -> EndingTransition:
    """End an attempt without a release, for a named reason.

    Args:
        attempt: what ends.
        reason: one word.
        detail: one sentence.
        unmasked: whether the survivors' sum was opened, or could have been. Then a retry must be over exactly
            these nodes: over others it would reveal a difference, which can be one market's update.
    """
    number = attempt.manifest.attempt
    body = RoundAborted(attempt.manifest.round, number, reason, detail, unmasked)
    entry, progress = attempt.progress.recorded(body, attempt.setup.key)
    if unmasked:
        progress = replace(progress, bound_to=frozenset(attempt.survivors))
    progress, closed = _closed(attempt, progress, Outcome.ABORTED, reason)
    outbox: tuple[CoordinatorOutgoing, ...] = (
        attempt.observed("round_aborted", reason=reason, detail=detail),
        *closed,
    )
    return Transition(Failed(progress, reason), (entry,), outbox)


def convict(
    attempt: Attempt, convictions: Iterable[Conviction]
) -> tuple[Attempt, tuple[CoordinatorRecord, ...], tuple[Observed, ...]]:
    """Return the attempt with everybody left out of later ones whom evidence convicts, and what to store.

    The evidence may hold shares, so it is stored and stays out of the log.
    """
    manifest, progress = attempt.manifest, attempt.progress
    records: list[CoordinatorRecord] = []
    faults: dict[tuple[NodeId, str], None] = {}
    for conviction in convictions:
        content = evidence_bytes(attempt.session, conviction)
        digest = evidence_hash(content)
        body = NodeConvicted(
            manifest.round,
            manifest.attempt,
            attempt.session,
            conviction.culprit,
            conviction.fault.value,
            digest,
        )
        entry, progress = progress.recorded(body, attempt.setup.key)
        records += [EvidenceStored(digest, content), entry]
        faults[conviction.culprit, conviction.fault.value] = None
    progress = replace(progress, excluded=progress.excluded | {node for node, _ in faults})
    seen = tuple(attempt.observed("node_convicted", market=node, fault=fault) for node, fault in faults)
    return replace(attempt, progress=progress), tuple(records), seen


def _check_mean(attempt: Attempt, mean: Vector, num_survivors: int, weight: float) -> None:
    """Refuse a weighted mean that honest nodes cannot make, rounding included.

    So whoever lies about update or weight can move the model by no more than clip_norm.

    Raises:
        CryptoError: says what is impossible.
    """
    plan = attempt.setup.plan
    encoding = update_encoding(attempt.manifest, plan)
    least = weight_of(1, reference_num_users=plan.reference_num_users, exponent=plan.weight_exponent)
    if weight < num_survivors * (least - 1 / encoding.weight_scale):
        raise CryptoError("The survivors' weights sum to too little.")
    rounding = math.sqrt(encoding.num_parameters) * num_survivors / (encoding.update_scale * weight)
    if not l2_norm(mean) <= encoding.clip_norm * (1 + NORM_SLACK) + rounding:
        raise CryptoError("The mean update is longer than clip_norm.")


def _released_body(
    attempt: Attempt, completed: secagg.Completed, released: Release, state_hash: bytes
) -> RoundReleased:
    return RoundReleased(
        round=attempt.manifest.round,
        attempt=attempt.manifest.attempt,
        session=completed.session,
        survivors=completed.survivors,
        consistency_signatures=_signatures(completed),
        total_hash=sum_hash(completed.total),
        model_in=attempt.manifest.model_hash,
        model_out=released.model_hash,
        optimiser_state=state_hash,
        validation=released.validation,
        privacy_event=_privacy_event(attempt),
    )


def _signatures(completed: secagg.Completed) -> tuple[RecordedSignature, ...]:
    signatures = sorted(completed.proof.signatures, key=lambda signed: signed.client)
    return tuple(RecordedSignature(signed.client, signed.signature) for signed in signatures)


def _privacy_event(attempt: Attempt) -> RecordedEvent | None:
    privacy = attempt.setup.plan.privacy
    if privacy is None:
        return None
    return recorded_event(privacy.event(mechanism_of(attempt.manifest, privacy)))


def _figures(opened: OpenedSum) -> dict[str, float]:
    figures = {"loss": opened.loss, "validation": opened.validation}
    return {name: value for name, value in figures.items() if value is not None}


def _released_event(
    event: str, attempt: Attempt, completed: secagg.Completed, now: float, **figures: float
) -> Observed:
    return attempt.observed(
        event,
        survivors=completed.survivors,
        dropouts={node: reason.value for node, reason in completed.dropouts.items()},
        **figures,
        seconds=now - attempt.started,
    )


def _closed(
    attempt: Attempt,
    progress: Progress,
    outcome: Outcome,
    reason: str,
    released: Release | SketchRelease | None = None,
) -> tuple[Progress, tuple[ToNode, ...]]:
    """Return how everybody is told, with the ledger as it now is, and the progress after that."""
    manifest = attempt.manifest
    growths, progress = progress.growths(sorted(progress.connected), attempt.setup.key)
    return progress, tuple(
        ToNode(node, RoundClosed(manifest.round, manifest.attempt, outcome, reason, released, growths[node]))
        for node in growths
    )
