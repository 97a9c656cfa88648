from fecosr.rpc.allowance import BURST_SECONDS, Allowance


def granted(allowance: Allowance, times: int, now: float) -> int:
    return sum(allowance.take(now) for _ in range(times))


def test_a_burst_is_granted_and_no_more() -> None:
    assert granted(Allowance(10.0), 1000, now=0.0) == 10 * BURST_SECONDS


def test_what_was_not_asked_for_comes_back_with_time_up_to_a_burst() -> None:
    allowance = Allowance(10.0)
    granted(allowance, 1000, now=5.0)
    assert granted(allowance, 1000, now=5.5) == 5
    assert granted(allowance, 1000, now=1000.0) == 10 * BURST_SECONDS


def test_a_clock_that_goes_back_grants_nothing() -> None:
    allowance = Allowance(10.0)
    granted(allowance, 1000, now=5.0)
    assert granted(allowance, 10, now=4.0) == 0
