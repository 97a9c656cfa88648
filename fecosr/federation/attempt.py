"""What one attempt at a round consists of on the coordinator, and the two ways it can end."""

import math
from collections import Counter
from dataclasses import dataclass, replace

from fecosr.errors import CryptoError
from fecosr.federation.aggregation import mean_update, parameters_hash, sum_hash, weight_of
from fecosr.federation.contents import update_encoding
from fecosr.federation.effects import (
    CoordinatorOutgoing,
    CoordinatorRecord,
    ModelStored,
    Observed,
    OptimiserStateStored,
    SumStored,
    ToNode,
)
from fecosr.federation.messages import Outcome, Release, RoundClosed, RoundManifest
from fecosr.federation.progress import CoordinatorSetup, Progress
from fecosr.ids import NodeId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.records import RecordedSignature, RoundAborted, RoundReleased
from fecosr.privacy.clipping import l2_norm
from fecosr.secagg import server as secagg
from fecosr.secagg.encoding import NORM_SLACK, DecodedSum, UpdateEncoding
from fecosr.secagg.parameters import SecAggParameters
from fecosr.transition import Transition


@dataclass(frozen=True, slots=True)
class Attempt:
    """Hold what an attempt knows, apart from its secure aggregation.

    Attributes:
        manifest: what every node was told.
        started: when it was opened, in driver seconds.
        survivors: whose masked vectors are in the sum, once that is fixed.
        accusations: who withdrew because of whom, or got unusable shares of whom.
        convicted: who is convicted by evidence.
    """

    setup: CoordinatorSetup
    progress: Progress
    manifest: RoundManifest
    started: float
    survivors: tuple[NodeId, ...] = ()
    accusations: frozenset[tuple[NodeId, NodeId]] = frozenset()
    convicted: frozenset[NodeId] = frozenset()

    def observed(self, event: str, **fields: object) -> Observed:
        """Return a log event that names this attempt."""
        return Observed(event, {"round": self.manifest.round, "attempt": self.manifest.attempt, **fields})

    def encoding(self) -> UpdateEncoding:
        """Return the encoding that coordinator and nodes share."""
        plan = self.setup.plan
        return update_encoding(
            self.manifest, max_loss=plan.max_loss, with_validation=plan.releases_validation
        )

    def secagg_parameters(self) -> SecAggParameters:
        """Return what the manifest says about its secure aggregation."""
        return SecAggParameters(
            context=self.manifest.context(),
            length=self.encoding().length,
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
    """Turn the opened sum into the next shared model, or refuse a sum that cannot be one."""
    try:
        total = attempt.encoding().decode(completed.total, len(completed.survivors))
    except CryptoError as error:
        return abort(attempt, "bad_sum", str(error), unmasked=True)
    if total.weight < _smallest_weight(attempt, len(completed.survivors)):
        return abort(attempt, "bad_sum", "The survivors' weights sum to too little.", unmasked=True)
    mean = mean_update(total)  # [P]
    if not l2_norm(mean) <= _largest_norm(attempt, len(completed.survivors), total.weight):
        return abort(attempt, "bad_sum", "The mean update is longer than clip_norm.", unmasked=True)
    before = attempt.progress
    step = attempt.setup.plan.server.apply(before.parameters, mean, before.optimiser_state)
    if not math.isfinite(l2_norm(step.parameters)):
        return abort(attempt, "bad_sum", "The next model would not be finite.", unmasked=True)
    model_hash = parameters_hash(step.parameters)
    if model_hash == attempt.manifest.model_hash:
        # Nodes rightly refuse to train on one model in two rounds.
        return abort(attempt, "model_unchanged", "The sum leaves the model as it was.", unmasked=True)
    released = Release(model_hash, total.mean_validation)
    body = _released_body(attempt, completed, released, step.state.hash())
    entry, progress = before.recorded(body, attempt.setup.key)
    progress = progress.with_release(released, step, attempt.setup.plan.schedule)
    progress = replace(progress, excluded=progress.excluded | _convicted(attempt))
    outbox: tuple[CoordinatorOutgoing, ...] = (
        _released_event(attempt, completed, total, now),
        *_closed(attempt, progress, Outcome.RELEASED, "", released),
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
    progress = replace(progress, excluded=progress.excluded | _convicted(attempt))
    outbox: tuple[CoordinatorOutgoing, ...] = (
        attempt.observed("round_aborted", reason=reason, detail=detail),
        *_closed(attempt, progress, Outcome.ABORTED, reason),
    )
    return Transition(Failed(progress, reason), (entry,), outbox)


def _convicted(attempt: Attempt) -> frozenset[NodeId]:
    """Return whom evidence convicts, and whom more nodes accuse than are assumed to collude.

    Fewer accusers could be framing somebody.
    """
    counts = Counter(accused for _, accused in attempt.accusations)
    most = attempt.setup.plan.max_colluding
    return attempt.convicted | {node for node, count in counts.items() if count > most}


def _smallest_weight(attempt: Attempt, num_survivors: int) -> float:
    """Return what the weights of honest survivors with one user each would sum to."""
    plan = attempt.setup.plan
    least = weight_of(1, reference_num_users=plan.reference_num_users, exponent=plan.weight_exponent)
    return num_survivors * (least - 1 / attempt.encoding().weight_scale)


def _largest_norm(attempt: Attempt, num_survivors: int, weight: float) -> float:
    """Return the bound that a weighted mean of clipped updates keeps, rounding included.

    Whoever lies about update or weight can move the model by no more than this.
    """
    encoding = attempt.encoding()
    rounding = math.sqrt(encoding.num_parameters) * num_survivors / (encoding.update_scale * weight)
    return encoding.clip_norm * (1 + NORM_SLACK) + rounding


def _released_body(
    attempt: Attempt, completed: secagg.Completed, released: Release, state_hash: bytes
) -> RoundReleased:
    signatures = sorted(completed.proof.signatures, key=lambda signed: signed.client)
    return RoundReleased(
        round=attempt.manifest.round,
        attempt=attempt.manifest.attempt,
        session=completed.session,
        survivors=completed.survivors,
        consistency_signatures=tuple(
            RecordedSignature(signed.client, signed.signature) for signed in signatures
        ),
        total_hash=sum_hash(completed.total),
        model_in=attempt.manifest.model_hash,
        model_out=released.model_hash,
        optimiser_state=state_hash,
        validation=released.validation,
        privacy_event="non_private",
    )


def _released_event(attempt: Attempt, completed: secagg.Completed, total: DecodedSum, now: float) -> Observed:
    return attempt.observed(
        "round_released",
        survivors=completed.survivors,
        dropouts={node: reason.value for node, reason in completed.dropouts.items()},
        loss=total.loss / total.weight,
        **({} if total.mean_validation is None else {"validation": total.mean_validation}),
        seconds=now - attempt.started,
    )


def _closed(
    attempt: Attempt, progress: Progress, outcome: Outcome, reason: str, released: Release | None = None
) -> tuple[ToNode, ...]:
    manifest = attempt.manifest
    checkpoint = sign_checkpoint(progress.head, attempt.setup.key)
    closed = RoundClosed(manifest.round, manifest.attempt, outcome, reason, released, checkpoint)
    return tuple(ToNode(node, closed) for node in sorted(progress.connected))
