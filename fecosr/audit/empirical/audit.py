"""The empirical audit from end to end: measure, train with canaries, attack, compare with the claim."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.audit.empirical.canaries import canary_scores
from fecosr.audit.empirical.measurements import Influence, largest_influence, noise_in_a_sum
from fecosr.audit.empirical.one_user import scores_with_and_without
from fecosr.audit.empirical.population import Population, as_trained, generate
from fecosr.audit.empirical.rounds import train
from fecosr.audit.empirical.sabotage import Contribute, as_it_is
from fecosr.audit.empirical.terms import Effort, Terms
from fecosr.audit.empirical.verdict import CONFIDENCE, Attack, Claim, Power, Verdict
from fecosr.ids import NodeId
from fecosr.privacy.accounting import Accountant, EventCounts, epsilons, larger_epsilon
from fecosr.privacy.attack_power import chance_of_noticing
from fecosr.privacy.empirical import Guesses, error_bounds, guess, one_run_epsilon, refutes
from fecosr.privacy.trade_off import epsilon_refuted
from fecosr.training.accounting import ACCOUNTANTS
from fecosr.training.market import MarketLearner

Advance = Callable[[str, int, int], None]
"""Be told what is going on, and how many of how many steps of it are over."""

FAILURE_PROBABILITY: Final = 1.0 - CONFIDENCE
_MEASURED_CANARIES: Final = 8
"""Beside the ordinary users, in the sums of which single users are left out."""


def ignore_advance(activity: str, done: int, total: int) -> None:
    """Do nothing with a report."""
    del activity, done, total


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """Hold what is attacked and with how much effort."""

    terms: Terms
    effort: Effort
    contribute: Contribute
    population: Population
    advance: Advance

    def learners(self) -> Mapping[NodeId, MarketLearner]:
        """Return the markets with ordinary users and a few canaries."""
        few = self.population.with_canaries(np.arange(self.effort.num_canaries) < _MEASURED_CANARIES)
        return {
            name: MarketLearner(market, self.terms.learning, seed=self.terms.plan.run.seed)
            for name, market in zip(self.terms.markets, few, strict=True)
        }


def audit_empirically(
    terms: Terms,
    effort: Effort,
    contribute: Contribute = as_it_is,
    *,
    accountants: Mapping[str, Accountant] = ACCOUNTANTS,
    advance: Advance = ignore_advance,
) -> Verdict:
    """Attack the training that a plan describes and compare what that achieves with what the plan claims.

    Args:
        terms: the plan.
        effort: what the attack may cost.
        contribute: what training does; the product's own, or a broken one.
        accountants: who make the claim; the larger figure counts.
        advance: is told how far it is.
    """
    subject = _Subject(terms, effort, contribute, generate(terms, effort), advance)
    rng = np.random.default_rng(effort.seed)
    events, claim = _claim(terms, accountants)
    learners = subject.learners()
    advance("measuring the influence of single users", 0, 1)
    influence = largest_influence(terms, learners[terms.markets[0]], contribute, effort.seed)
    noise = noise_in_a_sum(terms, learners, contribute, effort.seed)
    guesses, released = _attack_in_one_run(subject, rng.random(effort.num_canaries) < 0.5)
    attacks = [] if guesses is None else _one_run(guesses, events, claim)
    if effort.num_runs:
        attacks.append(_one_user(subject, learners, influence, claim))
    return Verdict(
        claim=claim,
        attacks=tuple(attacks),
        influence=influence,
        noise=noise,
        power=_power(events, effort, rng),
        guesses=guesses,
        rounds_planned=terms.plan.run.rounds,
        rounds_released=released,
        terms=_described(terms, effort),
    )


def _claim(terms: Terms, accountants: Mapping[str, Accountant]) -> tuple[EventCounts, Claim]:
    event, delta = terms.promise.event(terms.mechanism()), terms.privacy.delta
    events: EventCounts = {event: terms.plan.run.rounds}
    figures = epsilons(events, delta, accountants)
    one = epsilons({replace(event, sampling_probability=1.0): 1}, delta, accountants)
    return events, Claim(larger_epsilon(figures), delta, figures, larger_epsilon(one))


def _attack_in_one_run(subject: _Subject, included: npt.NDArray[np.bool_]) -> tuple[Guesses | None, int]:
    """Return how well coins were guessed, None if nothing was released, and the number of rounds."""
    terms, population = subject.terms, subject.population
    run = train(
        terms,
        population.with_canaries(included),
        subject.contribute,
        seed=subject.effort.seed,
        advance=lambda number: subject.advance("training with canaries", number, terms.plan.run.rounds),
    )
    if not run.rounds:
        return None, 0
    subject.advance("scoring canaries", 0, 1)
    ordinary = [as_trained(market.sequences) for market in population.ordinary]
    scores = canary_scores(run, terms, as_trained(population.canaries), ordinary)
    return guess(scores, included, subject.effort.num_guesses), len(run.rounds)


def _one_run(guesses: Guesses, events: EventCounts, claim: Claim) -> list[Attack]:
    return [
        Attack(
            "one_run",
            "Canaries in one run",
            one_run_epsilon(guesses, claim.delta, FAILURE_PROBABILITY),
            claim.epsilon,
        ),
        Attack(
            "one_run_f_dp",
            "Canaries in one run, by the trade-off",
            epsilon_refuted(
                events, claim.delta, lambda trade_off: refutes(guesses, trade_off, FAILURE_PROBABILITY)
            ),
            claim.epsilon,
        ),
    ]


def _one_user(
    subject: _Subject, learners: Mapping[NodeId, MarketLearner], influence: Influence, claim: Claim
) -> Attack:
    terms, effort = subject.terms, subject.effort
    present, absent = scores_with_and_without(
        terms,
        learners,
        influence.user,
        subject.contribute,
        num_sums=effort.num_runs,
        seed=effort.seed,
        advance=lambda done: subject.advance("attacking one user", done, 2 * effort.num_runs),
    )
    alarm, miss = error_bounds(present, absent, FAILURE_PROBABILITY)
    event = replace(terms.promise.event(terms.mechanism()), sampling_probability=1.0)
    bound = epsilon_refuted({event: 1}, claim.delta, lambda trade_off: miss < trade_off(alarm))
    return Attack("one_user", "One user in one round, many times", bound, claim.epsilon_of_one_sum)


def _power(events: EventCounts, effort: Effort, rng: np.random.Generator) -> Power:
    half, quarter = (
        chance_of_noticing(
            events,
            noise_factor=factor,
            num_canaries=effort.num_canaries,
            num_guesses=effort.num_guesses,
            failure_probability=FAILURE_PROBABILITY,
            rng=rng,
        )
        for factor in (0.5, 0.25)
    )
    return Power(half, quarter)


def _described(terms: Terms, effort: Effort) -> dict[str, object]:
    mechanism = terms.mechanism()
    return {
        "run": terms.plan.run.name,
        "mode": terms.privacy.mode,
        "privacy_unit": terms.privacy.privacy_unit,
        "neighboring_relation": terms.privacy.neighboring_relation,
        "rounds": terms.plan.run.rounds,
        "sampling_probability": terms.privacy.sampling_probability,
        "clip_norm": terms.privacy.clip_norm,
        "noise_multiplier": mechanism.noise_multiplier,
        "num_parameters": mechanism.num_parameters,
        "markets": len(terms.markets),
        "colluding": len(terms.colluding),
        "canaries": effort.num_canaries,
        "sums_with_and_without_one_user": effort.num_runs,
        "ordinary_users": effort.num_users * len(terms.markets),
        "seed": effort.seed,
    }
