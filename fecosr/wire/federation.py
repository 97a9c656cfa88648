"""Encode and decode what surrounds a secure aggregation (proto/fecosr/v1/federation.proto)."""

import math
from collections.abc import Sequence
from typing import Final

from fecosr.crypto.signatures import SIGNATURE_BYTES
from fecosr.federation.messages import (
    Finished,
    HeadSigned,
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
from fecosr.ledger.checkpoint import Checkpoint, Growth
from fecosr.secagg.packing import RING_BITS
from fecosr.wire.checks import HASH_BYTES, MalformedError, at_least, exactly, present, run_name, text
from fecosr.wire.generated.v1 import federation_pb2 as pb

MAX_VERSION_BYTES: Final = 64
MAX_HISTORY: Final = 10_000
"""Most rounds of a run with early stopping; their releases take less than half a message."""
MAX_PROOF: Final = 64
"""A tree over 2^63 records has no longer proof, give or take one hash."""

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
        ledger_size=manifest.ledger_size,
        ledger_root=manifest.ledger_root,
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
        ledger_size=at_least(1, manifest.ledger_size, "ledger_size"),
        ledger_root=exactly(HASH_BYTES, manifest.ledger_root, "ledger_root"),
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
        run=checkpoint.run, size=checkpoint.size, root=checkpoint.root, signature=checkpoint.signature
    )


def decode_checkpoint(checkpoint: pb.Checkpoint) -> Checkpoint:
    """Return what `checkpoint` stands for, refusing wrong sizes and names."""
    return Checkpoint(
        run=run_name(checkpoint.run, "run"),
        size=at_least(1, checkpoint.size, "size"),
        root=exactly(HASH_BYTES, checkpoint.root, "root"),
        signature=exactly(SIGNATURE_BYTES, checkpoint.signature, "signature"),
    )


def encode_growth(growth: Growth) -> pb.Growth:
    """Return `growth` as protobuf."""
    return pb.Growth(
        checkpoint=encode_checkpoint(growth.checkpoint), earlier=growth.earlier, proof=growth.proof
    )


def decode_growth(growth: pb.Growth) -> Growth:
    """Return what `growth` stands for, refusing a proof that cannot be one."""
    present(growth, "checkpoint")
    return Growth(decode_checkpoint(growth.checkpoint), growth.earlier, _proof(growth.proof, "proof"))


def encode_head_signed(signed: HeadSigned) -> pb.HeadSigned:
    """Return `signed` as protobuf."""
    return pb.HeadSigned(size=signed.size, root=signed.root, signature=signed.signature)


def decode_head_signed(signed: pb.HeadSigned) -> HeadSigned:
    """Return what `signed` stands for, refusing wrong sizes."""
    return HeadSigned(
        size=at_least(1, signed.size, "size"),
        root=exactly(HASH_BYTES, signed.root, "root"),
        signature=exactly(SIGNATURE_BYTES, signed.signature, "signature"),
    )


def _proof(hashes: Sequence[bytes], field: str) -> tuple[bytes, ...]:
    if len(hashes) > MAX_PROOF:
        raise MalformedError(f"{field} holds more than {MAX_PROOF} hashes")
    return tuple(exactly(HASH_BYTES, part, field) for part in hashes)


def encode_hello(hello: Hello) -> pb.Hello:
    """Return `hello` as protobuf."""
    return pb.Hello(
        run=hello.run,
        plan_hash=hello.plan_hash,
        version=hello.version,
        signed=None if hello.signed is None else encode_head_signed(hello.signed),
    )


def decode_hello(hello: pb.Hello) -> Hello:
    """Return what `hello` stands for, refusing wrong sizes and names."""
    return Hello(
        run=run_name(hello.run, "run"),
        plan_hash=exactly(HASH_BYTES, hello.plan_hash, "plan_hash"),
        version=text(hello.version, "version", MAX_VERSION_BYTES),
        signed=decode_head_signed(hello.signed) if hello.HasField("signed") else None,
    )


def encode_round_task(task: RoundTask) -> pb.RoundTask:
    """Return `task` as protobuf."""
    return pb.RoundTask(
        manifest=encode_manifest(task.manifest), signature=task.signature, growth=encode_growth(task.growth)
    )


def decode_round_task(task: pb.RoundTask) -> RoundTask:
    """Return what `task` stands for, refusing a task without a manifest or a ledger."""
    present(task, "manifest", "growth")
    return RoundTask(
        manifest=decode_manifest(task.manifest),
        signature=exactly(SIGNATURE_BYTES, task.signature, "signature"),
        growth=decode_growth(task.growth),
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
        growth=encode_growth(closed.growth),
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
    present(closed, "growth")
    return RoundClosed(
        round=closed.round,
        attempt=at_least(1, closed.attempt, "attempt"),
        outcome=outcome,
        reason=closed.reason,
        release=_released(closed),
        growth=decode_growth(closed.growth),
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
        ending=closed.ending,
        inclusion=closed.inclusion,
        growth=encode_growth(closed.growth),
        signature=closed.signature,
        sketch_hash=closed.sketch_hash,
    )


def decode_run_closed(closed: pb.RunClosed) -> RunClosed:
    """Return what `closed` stands for, refusing wrong sizes and names and too long a history."""
    present(closed, "growth")
    if len(closed.history) > MAX_HISTORY:
        raise MalformedError(f"history holds more than {MAX_HISTORY} releases")
    return RunClosed(
        run=run_name(closed.run, "run"),
        rounds=closed.rounds,
        model_hash=exactly(HASH_BYTES, closed.model_hash, "model_hash"),
        history=tuple(map(decode_release, closed.history)),
        ending=exactly(SIGNATURE_BYTES, closed.ending, "ending"),
        inclusion=_proof(closed.inclusion, "inclusion"),
        growth=decode_growth(closed.growth),
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
