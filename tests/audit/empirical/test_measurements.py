import numpy as np
import pytest

from fecosr.audit.empirical.measurements import largest_influence, noise_in_a_sum
from fecosr.audit.empirical.population import Population, generate
from fecosr.audit.empirical.sabotage import BROKEN, as_it_is
from fecosr.audit.empirical.terms import Effort, Terms
from fecosr.ids import NodeId
from fecosr.training.market import MarketLearner


@pytest.fixture(scope="module")
def population(terms: Terms, effort: Effort) -> Population:
    return generate(terms, effort)


@pytest.fixture(scope="module")
def learners(terms: Terms, effort: Effort, population: Population) -> dict[NodeId, MarketLearner]:
    few = population.with_canaries(np.arange(effort.num_canaries) < 2)
    return {
        name: MarketLearner(market, terms.learning, seed=1)
        for name, market in zip(terms.markets, few, strict=True)
    }


def test_halved_noise_is_measured_as_half(terms: Terms, learners: dict[NodeId, MarketLearner]) -> None:
    honest = noise_in_a_sum(terms, learners, as_it_is, seed=3)
    halved = noise_in_a_sum(terms, learners, BROKEN["noise-halved"], seed=3)
    assert honest.measured == pytest.approx(1.0, abs=0.02)
    assert honest.at_most > 1.0
    assert halved.measured == pytest.approx(0.5, abs=0.01)
    assert halved.at_most < 0.6


def test_whoever_is_not_clipped_is_named(terms: Terms, learners: dict[NodeId, MarketLearner]) -> None:
    first = learners[terms.markets[0]]
    leak = largest_influence(terms, first, BROKEN["one-user-leak"], seed=3)
    assert leak.user == len(first.data.split.train) - 1
    assert leak.share_of_clip_norm > 2.0
    assert largest_influence(terms, first, as_it_is, seed=3).share_of_clip_norm <= 1.0


def test_canaries_join_the_first_market_by_their_coins(population: Population) -> None:
    coins = np.zeros(len(population.canaries), np.bool_)
    coins[[3, 7]] = True
    first, *others = population.with_canaries(coins)
    assert first.num_users == population.ordinary[0].num_users + 2
    assert np.array_equal(first.sequences[-1], population.canaries[7])
    assert [other.num_users for other in others] == [market.num_users for market in population.ordinary[1:]]
    # Whether a canary is in does not show in the catalogue.
    assert first.catalogue == population.ordinary[0].catalogue
