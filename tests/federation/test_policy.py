"""What a coordinator could weaken a market's own policy bounds, with both numbers in the refusal."""

from dataclasses import replace

import pytest

from fecosr.errors import ConfigError, ProtocolViolation
from fecosr.federation.messages import RoundManifest
from fecosr.federation.policy import NodePolicy
from fecosr.ids import RunId

POLICY = NodePolicy(n_min=4, max_colluding=2, max_rounds=5, max_clip_norm=2.0, min_ring_bits=24)
ACCEPTED = RoundManifest(
    run=RunId("test"),
    round=5,
    attempt=1,
    plan_hash=bytes(32),
    model_hash=bytes(32),
    num_parameters=40,
    clip_norm=2.0,
    num_summands=6,
    n_min=4,
    max_colluding=2,
    ring_bits=24,
    ledger_size=1,
    ledger_root=bytes(32),
    noise=None,
)


def test_what_is_just_within_the_ranges_is_accepted() -> None:
    POLICY.check(ACCEPTED, releases_validation=False)
    POLICY.check(
        replace(ACCEPTED, ring_bits=32, n_min=6, max_colluding=4, round=1), releases_validation=False
    )


@pytest.mark.parametrize(
    ("weaker", "rule"),
    [
        (replace(ACCEPTED, n_min=3), "n_min 3 is below this market's 4"),
        # The threshold is no value of its own: it follows from cohort and max_colluding.
        (replace(ACCEPTED, max_colluding=1), "max_colluding 1 is below this market's 2"),
        (replace(ACCEPTED, round=6), "round 6 is beyond this market's 5"),
        (replace(ACCEPTED, clip_norm=2.5), "clip_norm 2.5 is above this market's 2.0"),
        (replace(ACCEPTED, ring_bits=16), "ring_bits 16 is below this market's 24"),
    ],
)
def test_what_is_weaker_is_refused_by_name(weaker: RoundManifest, rule: str) -> None:
    with pytest.raises(ProtocolViolation) as refusal:
        POLICY.check(weaker, releases_validation=False)
    assert (refusal.value.peer, refusal.value.rule) == ("coordinator", rule)


def test_a_plan_that_releases_the_metric_is_refused_where_the_market_does_not() -> None:
    with pytest.raises(ProtocolViolation, match="does not release its validation metric"):
        POLICY.check(ACCEPTED, releases_validation=True)
    replace(POLICY, release_validation=True).check(ACCEPTED, releases_validation=True)


@pytest.mark.parametrize("ring_bits", [0, 8, 20, 64])
def test_a_ring_there_is_not_is_no_bound(ring_bits: int) -> None:
    with pytest.raises(ValueError, match="min_ring_bits"):
        replace(POLICY, min_ring_bits=ring_bits)


def test_only_named_parameters_may_leave() -> None:
    POLICY.check_parameters(["encoder.positions", "projector.hidden.weight"])
    POLICY.check_parameters([])
    for name in ("adapter.local_items", "encoder", "my_encoder.positions", "ENCODER.positions"):
        with pytest.raises(ConfigError, match=f"does not let updates of {name} leave"):
            POLICY.check_parameters(["encoder.positions", name])
    with pytest.raises(ConfigError, match=r"updates of encoder\.positions leave"):
        replace(POLICY, parameters=()).check_parameters(["encoder.positions"])
