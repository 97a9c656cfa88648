"""What a manifest, a checkpoint and an ending may not say, rule by rule."""

import math

import pytest

from fecosr.federation.messages import SketchRelease
from fecosr.wire import federation
from fecosr.wire.checks import MalformedError
from fecosr.wire.generated.v1 import federation_pb2 as pb


def checkpoint() -> pb.Checkpoint:
    return pb.Checkpoint(run="r1", size=1, root=bytes(32), signature=bytes(64))


def growth() -> pb.Growth:
    return pb.Growth(checkpoint=checkpoint(), earlier=3, proof=[bytes(32)])


def manifest() -> pb.RoundManifest:
    return pb.RoundManifest(
        run="r1",
        round=1,
        attempt=1,
        plan_hash=bytes(32),
        model_hash=bytes(32),
        num_parameters=1,
        clip_norm=1.0,
        num_summands=3,
        n_min=2,
        ring_bits=24,
        ledger_size=7,
        ledger_root=bytes(32),
    )


def round_closed() -> pb.RoundClosed:
    release = pb.Release(model_hash=bytes(32), validation=0.5)
    return pb.RoundClosed(round=1, attempt=1, outcome=pb.OUTCOME_RELEASED, growth=growth(), release=release)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run", "R1"),
        ("attempt", 0),
        ("plan_hash", bytes(31)),
        ("model_hash", bytes(33)),
        ("num_parameters", 0),
        ("clip_norm", 0.0),
        ("clip_norm", -1.0),
        ("clip_norm", math.inf),
        ("clip_norm", math.nan),
        ("num_summands", 0),
        ("n_min", 0),
        ("ring_bits", 0),
        ("ring_bits", 20),
        ("sketch_hash", bytes(31)),
        ("sketch_hash", b""),
        ("ledger_size", 0),
        ("ledger_root", bytes(31)),
    ],
)
def test_manifest_refuses_what_is_out_of_range(field: str, value: object) -> None:
    message = manifest()
    setattr(message, field, value)
    with pytest.raises(MalformedError, match=field):
        federation.decode_manifest(message)


@pytest.mark.parametrize(
    ("field", "value"), [("run", ""), ("size", 0), ("root", b""), ("signature", bytes(63))]
)
def test_checkpoint_refuses_what_is_out_of_range(field: str, value: object) -> None:
    message = checkpoint()
    setattr(message, field, value)
    with pytest.raises(MalformedError, match=field):
        federation.decode_checkpoint(message)


@pytest.mark.parametrize(
    ("field", "value"), [("run", "x_y"), ("plan_hash", bytes(16)), ("version", ""), ("version", "1" * 65)]
)
def test_hello_refuses_what_is_out_of_range(field: str, value: object) -> None:
    message = pb.Hello(run="r1", plan_hash=bytes(32), version="0.1.0")
    setattr(message, field, value)
    with pytest.raises(MalformedError, match=field):
        federation.decode_hello(message)


def test_a_growth_has_a_head_and_hashes_only() -> None:
    assert federation.decode_growth(growth()).proof == (bytes(32),)
    for proof, message in (
        ([bytes(31)], "proof must be 32 bytes"),
        ([bytes(32)] * 65, "more than 64 hashes"),
    ):
        with pytest.raises(MalformedError, match=message):
            federation.decode_growth(pb.Growth(checkpoint=checkpoint(), proof=proof))
    with pytest.raises(MalformedError, match="Growth lacks checkpoint"):
        federation.decode_growth(pb.Growth(earlier=3))


@pytest.mark.parametrize(("field", "value"), [("size", 0), ("root", bytes(31)), ("signature", b"")])
def test_a_countersignature_refuses_what_is_out_of_range(field: str, value: object) -> None:
    message = pb.HeadSigned(size=1, root=bytes(32), signature=bytes(64))
    federation.decode_head_signed(message)
    setattr(message, field, value)
    with pytest.raises(MalformedError, match=field):
        federation.decode_head_signed(message)
    hello = pb.Hello(run="r1", plan_hash=bytes(32), version="0.1.0", signed=message)
    with pytest.raises(MalformedError, match=field):
        federation.decode_hello(hello)


@pytest.mark.parametrize("outcome", [0, 3, -1])
def test_an_unknown_outcome_is_refused(outcome: int) -> None:
    message = pb.RoundClosed.FromString(round_closed().SerializeToString())
    message.outcome = outcome  # type: ignore[assignment]  # an open enum holds any number
    with pytest.raises(MalformedError, match="outcome is not known"):
        federation.decode_round_closed(message)


def test_only_an_aborted_round_has_a_reason_and_it_must() -> None:
    message = round_closed()
    message.reason = "too few survivors"
    with pytest.raises(MalformedError, match="a released round has no reason"):
        federation.decode_round_closed(message)
    message.outcome = pb.OUTCOME_ABORTED
    message.ClearField("release")
    assert federation.decode_round_closed(message).reason == "too few survivors"
    message.reason = ""
    with pytest.raises(MalformedError, match="reason must be"):
        federation.decode_round_closed(message)


def test_an_ending_without_a_ledger_is_refused() -> None:
    message = round_closed()
    message.ClearField("growth")
    with pytest.raises(MalformedError, match="RoundClosed lacks growth"):
        federation.decode_round_closed(message)
    with pytest.raises(MalformedError, match="RunClosed lacks growth"):
        federation.decode_run_closed(pb.RunClosed(run="r1", model_hash=bytes(32), signature=bytes(64)))


def test_a_task_needs_a_manifest_a_ledger_and_a_signature() -> None:
    with pytest.raises(MalformedError, match="RoundTask lacks manifest"):
        federation.decode_round_task(pb.RoundTask(signature=bytes(64)))
    with pytest.raises(MalformedError, match="signature must be 64 bytes, not 0"):
        federation.decode_round_task(pb.RoundTask(manifest=manifest(), growth=growth()))
    with pytest.raises(MalformedError, match="RoundTask lacks growth"):
        federation.decode_round_task(pb.RoundTask(manifest=manifest(), signature=bytes(64)))


def test_goodbyes_are_checked() -> None:
    with pytest.raises(MalformedError, match="model_hash"):
        federation.decode_finished(pb.Finished())
    with pytest.raises(MalformedError, match="reason"):
        federation.decode_rejected(pb.Rejected())


@pytest.mark.parametrize("validation", [-0.1, 1.1, math.nan, math.inf])
def test_a_metric_that_cannot_be_is_refused(validation: float) -> None:
    with pytest.raises(MalformedError, match=r"validation must be in 0 \.\. 1"):
        federation.decode_release(pb.Release(model_hash=bytes(32), validation=validation))


def test_a_release_without_a_metric_is_not_one_with_metric_zero() -> None:
    assert federation.decode_release(pb.Release(model_hash=bytes(32))).validation is None
    assert federation.decode_release(pb.Release(model_hash=bytes(32), validation=0.0)).validation == 0.0
    with pytest.raises(MalformedError, match="model_hash"):
        federation.decode_release(pb.Release(model_hash=bytes(31)))


def test_a_release_goes_with_a_released_round_only() -> None:
    message = round_closed()
    message.ClearField("release")
    with pytest.raises(MalformedError, match="says what it released"):
        federation.decode_round_closed(message)
    message = round_closed()
    message.outcome, message.reason = pb.OUTCOME_ABORTED, "bad_sum"
    with pytest.raises(MalformedError, match="an aborted round has no release"):
        federation.decode_round_closed(message)


def test_a_sketch_is_released_instead_of_a_model() -> None:
    message = round_closed()
    message.sketch_hash = bytes(32)
    assert not message.HasField("release"), "one of them, never both"
    assert federation.decode_round_closed(message).release == SketchRelease(bytes(32))
    message.sketch_hash = bytes(31)
    with pytest.raises(MalformedError, match="sketch_hash must be 32 bytes"):
        federation.decode_round_closed(message)
    message.outcome, message.reason, message.sketch_hash = pb.OUTCOME_ABORTED, "bad_sum", bytes(32)
    with pytest.raises(MalformedError, match="an aborted round has no release"):
        federation.decode_round_closed(message)


def test_a_manifest_without_a_sketch_is_not_one_with_an_empty_hash() -> None:
    assert federation.decode_manifest(manifest()).sketch_hash is None
    message = manifest()
    message.sketch_hash = bytes(32)
    assert federation.decode_manifest(message).sketch_hash == bytes(32)


def test_a_history_has_an_end() -> None:
    release = pb.Release(model_hash=bytes(32))
    closed = pb.RunClosed(
        run="r1",
        model_hash=bytes(32),
        signature=bytes(64),
        growth=growth(),
        history=[release] * 10_000,
        ending=bytes(64),
        inclusion=[bytes(32)],
    )
    assert len(federation.decode_run_closed(closed).history) == 10_000
    closed.history.append(release)
    with pytest.raises(MalformedError, match="more than 10000"):
        federation.decode_run_closed(closed)
    del closed.history[:]
    closed.sketch_hash = bytes(33)
    with pytest.raises(MalformedError, match="sketch_hash must be 32 bytes"):
        federation.decode_run_closed(closed)
    closed.ClearField("sketch_hash")
    closed.ending = bytes(32)
    with pytest.raises(MalformedError, match="ending must be 64 bytes"):
        federation.decode_run_closed(closed)


@pytest.mark.parametrize("validation", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_shared_metric_that_can_be_none_is_refused(validation: float) -> None:
    with pytest.raises(MalformedError, match="validation must be in 0"):
        federation.decode_metric_shared(pb.MetricShared(round=1, attempt=1, validation=validation))


@pytest.mark.parametrize("fields", [{"round": 0, "attempt": 1}, {"round": 1, "attempt": 0}])
def test_a_shared_metric_belongs_to_an_attempt(fields: dict[str, int]) -> None:
    with pytest.raises(MalformedError, match="at least 1"):
        federation.decode_metric_shared(pb.MetricShared(validation=0.5, **fields))
