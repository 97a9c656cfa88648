"""Lower bounds on epsilon from guesses: what an attacker achieved is compared with what was claimed.

Canaries are users that an auditor adds, each by a fair coin. After training they are scored, and the auditor
guesses for those with the highest scores that they were in, and for those with the lowest that they were out.
How many guesses are to be made is fixed before anybody sees a score. If the claim holds, more correct guesses
than the bounds allow happen with a chance of at most `failure_probability`.

Reference: Steinke, Nasr, Jagielski 2023, "Privacy Auditing with One (1) Training Run"; Mahloujifar, Melis,
Chaudhuri 2024, "Auditing f-Differential Privacy in One Run" (of the two, the one that sees more).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import beta, binom, norm

from fecosr.errors import MisuseError
from fecosr.privacy.trade_off import TradeOff, gaussian_trade_off

MOST_EPSILON: Final = 50.0
"""No guesses show more than this; nobody claims it."""
_STEPS: Final = 40

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Guesses:
    """Hold the outcome of one run.

    Attributes:
        num_canaries: m, of which each was in by a fair coin.
        num_guesses: r, fixed beforehand.
        num_correct: of these.

    Raises:
        MisuseError: the numbers cannot be.
    """

    num_canaries: int
    num_guesses: int
    num_correct: int

    def __post_init__(self) -> None:
        if not 0 <= self.num_correct <= self.num_guesses <= self.num_canaries or self.num_guesses < 1:
            raise MisuseError("need 0 <= correct <= guesses <= canaries, and a guess")


def guess(scores: Scores, included: npt.NDArray[np.bool_], num_guesses: int) -> Guesses:
    """Return how many of the guesses "in" for the highest and "out" for the lowest scores are correct.

    Args:
        scores: of the canaries, float64 [m]; made without looking at the coins.
        included: the coins, bool [m].
        num_guesses: r, even, one half of them "in"; fixed before the scores were seen.

    Raises:
        MisuseError: there are not so many canaries, or r is odd.
    """
    if num_guesses % 2 or not 0 < num_guesses <= len(scores) or len(scores) != len(included):
        raise MisuseError("an even number of guesses, at most one per canary, and a coin for each")
    order = np.argsort(scores, kind="stable")
    half = num_guesses // 2
    correct = int(included[order[-half:]].sum()) + int((~included[order[:half]]).sum())
    return Guesses(len(scores), num_guesses, correct)


def one_run_epsilon(guesses: Guesses, delta: float, failure_probability: float) -> float:
    """Return the epsilon that the guesses refute: the mechanism is not (epsilon, delta)-private for less.

    Reference: Steinke, Nasr, Jagielski 2023, Theorem 5.2 and appendix D.
    """
    return _largest(lambda epsilon: _chance(guesses, epsilon, delta) <= failure_probability)


def gaussian_epsilon_refuted(guesses: Guesses, delta: float, failure_probability: float) -> float:
    """Return the same, taking it that the mechanism trades errors off as a Gaussian one does.

    Reference: Mahloujifar, Melis, Chaudhuri 2024, Algorithm 2 with the trade-off of Gaussian mechanisms.
    """
    mu = _largest(lambda mu: refutes(guesses, gaussian_trade_off(mu), failure_probability))
    return gaussian_epsilon_of(mu, delta)


def refutes(guesses: Guesses, trade_off: TradeOff, failure_probability: float) -> bool:
    """Return whether so many correct guesses are too unlikely for a mechanism with this trade-off.

    Reference: Mahloujifar, Melis, Chaudhuri 2024, Algorithm 2.
    """
    canaries, made, correct = guesses.num_canaries, guesses.num_guesses, guesses.num_correct
    right = failure_probability * correct / canaries
    wrong = failure_probability * (made - correct) / canaries
    for i in range(correct - 1, -1, -1):
        larger = max(wrong, trade_off(1.0 - right))
        right = min(1.0, right + i / (made - i) * (larger - wrong))
        wrong = larger
    return right + wrong > made / canaries


def error_bounds(with_user: Scores, without: Scores, failure_probability: float) -> tuple[float, float]:
    """Return what the chances of a false alarm and of a miss are at most, for the best threshold on scores.

    The threshold is chosen on the first half of the runs and judged on the second, by Clopper-Pearson bounds.

    Args:
        with_user: scores of runs with the user, float64 [n].
        without: scores of as many runs without.
        failure_probability: that one of the two is above its bound.

    Raises:
        MisuseError: there are not as many of both, or fewer than two.
    """
    half = len(without) // 2
    if half < 1 or len(with_user) != len(without):
        raise MisuseError("need as many runs with the user as without, two at least")
    threshold = _best_threshold(with_user[:half], without[:half])
    runs = len(without) - half
    false_alarms = int((without[half:] > threshold).sum())
    misses = int((with_user[half:] <= threshold).sum())
    tail = failure_probability / 2
    return _upper_rate(false_alarms, runs, tail), _upper_rate(misses, runs, tail)


def neighbour_epsilon(with_user: Scores, without: Scores, delta: float, failure_probability: float) -> float:
    """Return the epsilon refuted by telling runs with one chosen user from runs without."""
    alarm_rate, miss_rate = error_bounds(with_user, without, failure_probability)
    advantage = 1.0 - delta - miss_rate
    return max(0.0, math.log(advantage / alarm_rate)) if advantage > 0 else 0.0


def gaussian_epsilon_of(mu: float, delta: float) -> float:
    """Return epsilon at `delta` of a Gaussian mechanism whose sensitivity is `mu` standard deviations.

    Reference: Balle, Wang 2018, "Improving the Gaussian Mechanism for Differential Privacy", Theorem 8.
    """
    if mu <= 0.0 or norm.cdf(mu / 2) - norm.cdf(-mu / 2) <= delta:
        return 0.0

    def excess(epsilon: float) -> float:
        shift = epsilon / mu
        return float(norm.cdf(mu / 2 - shift) - math.exp(epsilon + norm.logcdf(-mu / 2 - shift)) - delta)

    highest = mu * mu / 2 + mu * math.sqrt(2 * math.log(1 / delta)) + 1.0
    return float(brentq(excess, 0.0, highest))


def _largest(refuted: Callable[[float], bool]) -> float:
    """Return the largest value up to MOST_EPSILON that is refuted, by halving; 0 where none is."""
    low, high = 0.0, MOST_EPSILON
    if not refuted(low):
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def _chance(guesses: Guesses, epsilon: float, delta: float) -> float:
    """Return a bound on the chance of so many correct guesses under (epsilon, delta)."""
    right = 1.0 / (1.0 + math.exp(-epsilon))
    correct, made = guesses.num_correct, guesses.num_guesses
    # Of the counts just below, the first i together, divided by i: the most that delta can add.
    below = binom.pmf(np.arange(correct - 1, -1, -1), made, right)
    alpha = float((np.cumsum(below) / np.arange(1, correct + 1)).max()) if correct else 0.0
    return float(binom.sf(correct - 1, made, right)) + 2.0 * guesses.num_canaries * delta * alpha


def _best_threshold(with_user: Scores, without: Scores) -> float:
    candidates = np.sort(np.concatenate([with_user, without]))
    alarms = (len(without) - np.searchsorted(np.sort(without), candidates, side="right") + 1) / len(without)
    hits = (len(with_user) - np.searchsorted(np.sort(with_user), candidates, side="right")) / len(with_user)
    best = int(np.argmax(hits / alarms))
    # Halfway to the next score: just above one of these, new scores would often be above it, too.
    return float(candidates[best : best + 2].mean())


def _upper_rate(count: int, runs: int, tail: float) -> float:
    """Return the Clopper-Pearson upper bound on a rate."""
    return 1.0 if count == runs else float(beta.ppf(1.0 - tail, count + 1, runs - count))
