"""Encode and decode what surrounds a secure aggregation (proto/fecosr/v1/federation.proto)."""

import math
from typing import Final

from fecosr.crypto.signatures import SIGNATURE_BYTES
from fecosr.federation.messages import (
    Finished,
    Hello,
    MetricShared,
    NoiseTerms,
    Outcome,
    Rejected,
    Release,
    RoundClosed,
    RoundManifest,
    RoundTask,
    RunClosed,
    SketchRelease,
)
from fecosr.ledger.checkpoint import Checkpoint
from fecosr.secagg.packing import RING_BITS
from fecosr.wire.checks import HASH_BYTES, MalformedError, at_least, exactly, present, run_name, text
from fecosr.wire.generated.v1 import federation_pb2 as pb

MAX_VERSION_BYTES: Final = 64
MAX_HISTORY: Final = 10_000
"""Most rounds of a run with early stopping; their releases take less than half a message."""

_OUTCOMES: Final = {
    Outcome.RELEASED: pb.OUTCOME_RELEASED,
    Outcome.ABORTED: pb.OUTCOME_ABORTED,
}
_OUTCOMES_BY_NUMBER: Final = {int(number): outcome for outcome, number in _OUTCOMES.items()}


def encode_manifest(manifest: RoundManifest) -> pb.RoundManifest:
    """Return `manifest` as protobuf."""
    return pb.RoundManifest(
        run=manifest.run,
        round=manifest.round,
        attempt=manifest.attempt,
        plan_hash=manifest.plan_hash,
        model_hash=manifest.model_hash,
        num_parameters=manifest.num_parameters,
        clip_norm=manifest.clip_norm,
        num_summands=manifest.num_summands,
        n_min=manifest.n_min,
        max_colluding=manifest.max_colluding,
        ring_bits=manifest.ring_bits,
        noise=None if manifest.noise is None else _encode_noise(manifest.noise),
        sketch_hash=manifest.sketch_hash,
    )


def decode_manifest(manifest: pb.RoundManifest) -> RoundManifest:
    """Return what `manifest` stands for, refusing wrong sizes, names and ranges."""
    if not 0 < manifest.clip_norm < math.inf:
        raise MalformedError("clip_norm must be finite and above 0")
    if manifest.ring_bits not in RING_BITS:
        raise MalformedError("ring_bits is none of those there are")
    return RoundManifest(
        run=run_name(manifest.run, "run"),
        round=manifest.round,
        attempt=at_least(1, manifest.attempt, "attempt"),
        plan_hash=exactly(HASH_BYTES, manifest.plan_hash, "plan_hash"),
        model_hash=exactly(HASH_BYTES, manifest.model_hash, "model_hash"),
        num_parameters=at_least(1, manifest.num_parameters, "num_parameters"),
        clip_norm=manifest.clip_norm,
        num_summands=at_least(1, manifest.num_summands, "num_summands"),
        n_min=at_least(1, manifest.n_min, "n_min"),
        max_colluding=manifest.max_colluding,
        ring_bits=manifest.ring_bits,
        noise=_decode_noise(manifest.noise) if manifest.HasField("noise") else None,
        sketch_hash=_sketch_hash(manifest),
    )


def _encode_noise(noise: NoiseTerms) -> pb.NoiseTerms:
    return pb.NoiseTerms(
        clip_units=noise.clip_units, share_variance=noise.share_variance, num_shares=noise.num_shares
    )


def _decode_noise(noise: pb.NoiseTerms) -> NoiseTerms:
    return NoiseTerms(
        clip_units=at_least(1, noise.clip_units, "clip_units"),
        share_variance=at_least(1, noise.share_variance, "share_variance"),
        num_shares=at_least(1, noise.num_shares, "num_shares"),
    )


def encode_checkpoint(checkpoint: Checkpoint) -> pb.Checkpoint:
    """Return `checkpoint` as protobuf."""
    return pb.Checkpoint(
        run=checkpoint.run, size=checkpoint.size, head=checkpoint.head, signature=checkpoint.signature
    )


def decode_checkpoint(checkpoint: pb.Checkpoint) -> Checkpoint:
    """Return what `checkpoint` stands for, refusing wrong sizes and names."""
    return Checkpoint(
        run=run_name(checkpoint.run, "run"),
        size=at_least(1, checkpoint.size, "size"),
        head=exactly(HASH_BYTES, checkpoint.head, "head"),
        signature=exactly(SIGNATURE_BYTES, checkpoint.signature, "signature"),
    )


def encode_hello(hello: Hello) -> pb.Hello:
    """Return `hello` as protobuf."""
    return pb.Hello(run=hello.run, plan_hash=hello.plan_hash, version=hello.version)


def decode_hello(hello: pb.Hello) -> Hello:
    """Return what `hello` stands for, refusing wrong sizes and names."""
    return Hello(
        run=run_name(hello.run, "run"),
        plan_hash=exactly(HASH_BYTES, hello.plan_hash, "plan_hash"),
        version=text(hello.version, "version", MAX_VERSION_BYTES),
    )


def encode_round_task(task: RoundTask) -> pb.RoundTask:
    """Return `task` as protobuf."""
    return pb.RoundTask(manifest=encode_manifest(task.manifest), signature=task.signature)


def decode_round_task(task: pb.RoundTask) -> RoundTask:
    """Return what `task` stands for, refusing a task without a manifest."""
    present(task, "manifest")
    return RoundTask(
        manifest=decode_manifest(task.manifest),
        signature=exactly(SIGNATURE_BYTES, task.signature, "signature"),
    )


def encode_release(release: Release) -> pb.Release:
    """Return `release` as protobuf."""
    return pb.Release(model_hash=release.model_hash, validation=release.validation)


def decode_release(release: pb.Release) -> Release:
    """Return what `release` stands for, refusing a wrong hash and a metric that cannot be."""
    validation = _fraction(release.validation) if release.HasField("validation") else None
    return Release(exactly(HASH_BYTES, release.model_hash, "model_hash"), validation)


def _fraction(validation: float) -> float:
    if not 0 <= validation <= 1:
        raise MalformedError("validation must be in 0 .. 1")
    return validation


def encode_round_closed(closed: RoundClosed) -> pb.RoundClosed:
    """Return `closed` as protobuf."""
    return pb.RoundClosed(
        round=closed.round,
        attempt=closed.attempt,
        outcome=_OUTCOMES[closed.outcome],
        reason=closed.reason,
        checkpoint=encode_checkpoint(closed.checkpoint),
        release=encode_release(closed.release) if isinstance(closed.release, Release) else None,
        sketch_hash=closed.release.sketch_hash if isinstance(closed.release, SketchRelease) else None,
    )


def decode_round_closed(closed: pb.RoundClosed) -> RoundClosed:
    """Return what `closed` stands for, refusing an unknown outcome and what does not go with the outcome."""
    outcome = _OUTCOMES_BY_NUMBER.get(closed.outcome)
    if outcome is None:
        raise MalformedError("outcome is not known")
    if outcome is Outcome.ABORTED:
        text(closed.reason, "reason")
        if closed.WhichOneof("released") is not None:
            raise MalformedError("an aborted round has no release")
    else:
        if closed.WhichOneof("released") is None:
            raise MalformedError("a released round says what it released")
        if closed.reason:
            raise MalformedError("a released round has no reason")
    present(closed, "checkpoint")
    return RoundClosed(
        round=closed.round,
        attempt=at_least(1, closed.attempt, "attempt"),
        outcome=outcome,
        reason=closed.reason,
        release=_released(closed),
        checkpoint=decode_checkpoint(closed.checkpoint),
    )


def _released(closed: pb.RoundClosed) -> Release | SketchRelease | None:
    match closed.WhichOneof("released"):
        case "release":
            return decode_release(closed.release)
        case "sketch_hash":
            return SketchRelease(exactly(HASH_BYTES, closed.sketch_hash, "sketch_hash"))
        case _:
            return None


def _sketch_hash(message: pb.RoundManifest | pb.RunClosed) -> bytes | None:
    if not message.HasField("sketch_hash"):
        return None
    return exactly(HASH_BYTES, message.sketch_hash, "sketch_hash")


def encode_run_closed(closed: RunClosed) -> pb.RunClosed:
    """Return `closed` as protobuf."""
    return pb.RunClosed(
        run=closed.run,
        rounds=closed.rounds,
        model_hash=closed.model_hash,
        history=map(encode_release, closed.history),
        previous=closed.previous,
        checkpoint=encode_checkpoint(closed.checkpoint),
        signature=closed.signature,
        sketch_hash=closed.sketch_hash,
    )


def decode_run_closed(closed: pb.RunClosed) -> RunClosed:
    """Return what `closed` stands for, refusing wrong sizes and names and too long a history."""
    present(closed, "checkpoint")
    if len(closed.history) > MAX_HISTORY:
        raise MalformedError(f"history holds more than {MAX_HISTORY} releases")
    return RunClosed(
        run=run_name(closed.run, "run"),
        rounds=closed.rounds,
        model_hash=exactly(HASH_BYTES, closed.model_hash, "model_hash"),
        history=tuple(map(decode_release, closed.history)),
        previous=exactly(HASH_BYTES, closed.previous, "previous"),
        checkpoint=decode_checkpoint(closed.checkpoint),
        signature=exactly(SIGNATURE_BYTES, closed.signature, "signature"),
        sketch_hash=_sketch_hash(closed),
    )


def decode_finished(finished: pb.Finished) -> Finished:
    """Return what `finished` stands for, refusing a hash of the wrong size."""
    return Finished(exactly(HASH_BYTES, finished.model_hash, "model_hash"))


def encode_metric_shared(shared: MetricShared) -> pb.MetricShared:
    """Return `shared` as protobuf."""
    return pb.MetricShared(round=shared.round, attempt=shared.attempt, validation=shared.validation)


def decode_metric_shared(shared: pb.MetricShared) -> MetricShared:
    """Return what `shared` stands for, refusing what no metric can be."""
    return MetricShared(
        round=at_least(1, shared.round, "round"),
        attempt=at_least(1, shared.attempt, "attempt"),
        validation=_fraction(shared.validation),
    )


def decode_rejected(rejected: pb.Rejected) -> Rejected:
    """Return what `rejected` stands for, refusing an empty or oversized reason."""
    return Rejected(text(rejected.reason, "reason"))
