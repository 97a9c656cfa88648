"""Many seeds under many fault plans: a few in every run, a thousand behind the `slow` mark."""

from collections import Counter

import pytest

from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.server import AbortReason
from fecosr.simulation.faults import Faults
from fecosr.simulation.participants import seeded_participants
from fecosr.simulation.session import simulate_session
from fecosr.simulation.verdict import Verdict, judge

PLANS = {
    "quiet": Faults(),
    "reordered": Faults(most_delay_seconds=4.9),
    "duplicated": Faults(duplication=1.0),
    "dropouts": Faults(dropout=0.2),
    "silent-dropouts": Faults(dropout=0.2, notice=0.0),
    "crashes": Faults(crash=0.25, notice=0.5, crash_within_seconds=8.0),
    "lossy": Faults(loss=0.03),
    "slow": Faults(most_delay_seconds=12.0),
    "everything": Faults(
        loss=0.02, duplication=0.3, dropout=0.1, crash=0.1, notice=0.5, most_delay_seconds=6.0
    ),
    "everybody-leaves": Faults(dropout=1.0, notice=0.5),
}
SHARES = 20


def play(seed: int) -> tuple[str, Verdict]:
    """Play the session that a seed stands for: its plan, its number of clients, its rules."""
    plan = list(PLANS)[seed % len(PLANS)]
    num_clients = 3 + seed // len(PLANS) % 8
    max_colluding = seed // 7 % 2
    n_min = min(max_colluding + 2 + seed // 11 % 3, num_clients)
    participants = seeded_participants(num_clients, 5, seed)
    ring_bits = (32, 24, 16)[seed // 13 % 3]
    parameters = SecAggParameters(seed.to_bytes(32, "big"), 5, n_min, max_colluding, ring_bits)
    return plan, judge(simulate_session(parameters, participants, PLANS[plan], seed), participants)


def assert_all_as_they_must_be(seeds: range) -> Counter[str]:
    """Play all seeds and return how the plans ended; name the first seed that did not end as it must."""
    ended = Counter[str]()
    for seed in seeds:
        plan, verdict = play(seed)
        assert not verdict.faults, f"seed {seed}, plan {plan}: {'; '.join(verdict.faults)}"
        ended[verdict.abort or "completed"] += 1
    return ended


def test_sessions_end_as_they_must_under_every_plan() -> None:
    ended = assert_all_as_they_must_be(range(50))
    assert ended["completed"] > 20
    assert len(ended) > 2


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_a_thousand_sessions_end_as_they_must(share: int) -> None:
    size = 1000 // SHARES
    assert assert_all_as_they_must_be(range(share * size, (share + 1) * size))["completed"]


def assert_sparse_is_as_it_must_be(seed: int) -> AbortReason | None:
    """Play a session in a sparse graph, in which up to every other client may leave."""
    rate = (0.2, 0.1, 0.05, 0.3, 0.45)[seed % 5]
    participants = seeded_participants(66 + seed % 5, 5, seed)
    parameters = SecAggParameters(seed.to_bytes(32, "big"), 5, 8, 6)
    session = simulate_session(parameters, participants, Faults(dropout=rate, notice=0.5), seed)
    verdict = judge(session, participants)
    assert not verdict.faults, f"seed {seed}: {'; '.join(verdict.faults)}"
    return verdict.abort


def test_a_sparse_session_ends_as_it_must() -> None:
    assert assert_sparse_is_as_it_must_be(0) is None


@pytest.mark.slow
def test_many_sparse_sessions_end_as_they_must() -> None:
    ended = {assert_sparse_is_as_it_must_be(seed) for seed in range(30)}
    assert None in ended
    assert len(ended) > 1


def test_a_seed_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fecosr.simulation.verdict.oracle_sum", lambda *_: None)
    with pytest.raises(AssertionError, match="seed 3, plan dropouts: the sum is not"):
        assert_all_as_they_must_be(range(3, 4))
