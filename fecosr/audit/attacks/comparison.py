"""Both attackers on all views, side by side, over many rounds of other markets, users and secrets."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.audit.attacks.attackers import item_scores, known_gradients, membership_scores
from fecosr.audit.attacks.views import VIEWS, ViewName, see
from fecosr.audit.empirical.population import as_trained
from fecosr.audit.empirical.terms import Effort, Terms, new_plan, terms_of
from fecosr.data.sequences import MarketSequences, load_market
from fecosr.data.settings import DataSettings, SyntheticSettings
from fecosr.errors import ConfigError
from fecosr.ids import NodeId
from fecosr.privacy.separation import Interval, auc, interval, recall
from fecosr.training.market import MarketLearner

CONFIDENCE: Final = 0.95
SURE: Final = 0.999
"""With which confidence something must be above chance before it is held against the masks."""
_NUM_ITEMS: Final = 300
_MOST_USERS: Final = 80
"""Whose purchases make up a catalogue."""
_DELTA: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Comparison:
    """Say what is compared.

    Attributes:
        rounds: of each kind, each with markets of its own.
        users: of each market.
        epsilon: promised for the private round.
        seed: of everything.

    Raises:
        ConfigError: a number is out of range.
    """

    rounds: int = 20
    users: int = 6
    epsilon: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.rounds <= 10_000:
            raise ConfigError("the number of rounds must be in 2 .. 10000")
        if not 1 <= self.users <= 1000:
            raise ConfigError("the number of users of a market must be in 1 .. 1000")


@dataclass(frozen=True, slots=True)
class Shown:
    """Hold what one view told both attackers, with confidence 95 %; 0.5 is chance, but for `recall`.

    Attributes:
        membership: area under the curve of who took part.
        items: area under the curve of which items were bought.
        recall: part of the bought items among as many guesses.
        recall_by_luck: what blind guesses recall.
        sure: the lower ends of the first two at confidence 99.9 %.
    """

    membership: Interval
    items: Interval
    recall: Interval
    recall_by_luck: float
    sure: tuple[float, float]

    @property
    def tells(self) -> bool:
        """Return whether an attacker is above chance beyond doubt."""
        return max(self.sure) > 0.5


@dataclass(frozen=True, slots=True)
class _Figures:
    membership: float
    items: float
    recall: float
    luck: float


def compare(
    comparison: Comparison, advance: Callable[[int, int], None] = lambda _done, _total: None
) -> dict[ViewName, Shown]:
    """Return what each view told the attackers."""
    rounds = []
    for number in range(comparison.rounds):
        advance(number, comparison.rounds)
        rounds.append(_one_round(comparison, comparison.seed * 100_003 + number))
    return {view: _shown([figures[view] for figures in rounds]) for view in VIEWS}


def findings(shown: Mapping[ViewName, Shown]) -> Iterator[str]:
    """Yield what contradicts that masks hide a market, one sentence each."""
    if shown["masked"].tells:
        yield "A masked update tells an attacker something: masks do not hide it."
    if not shown["unmasked"].tells:
        yield "The attackers find nothing in an update as it is, so what they find elsewhere says nothing."


def for_programs(shown: Mapping[ViewName, Shown]) -> dict[str, object]:
    """Return all of it for programs."""
    contradictions = list(findings(shown))
    return {
        "verified": not contradictions,
        "findings": contradictions,
        "confidence": CONFIDENCE,
        "views": {
            view: {
                "membership_auc": asdict(each.membership),
                "items_auc": asdict(each.items),
                "items_recall": asdict(each.recall),
                "items_recall_by_luck": each.recall_by_luck,
                "above_chance": each.tells,
            }
            for view, each in shown.items()
        },
    }


def _shown(figures: list[_Figures]) -> Shown:
    membership, items = [each.membership for each in figures], [each.items for each in figures]
    return Shown(
        interval(membership, CONFIDENCE),
        interval(items, CONFIDENCE),
        interval([each.recall for each in figures], CONFIDENCE),
        float(np.mean([each.luck for each in figures])),
        (interval(membership, SURE).low, interval(items, SURE).low),
    )


def _one_round(comparison: Comparison, seed: int) -> dict[ViewName, _Figures]:
    plan = new_plan(
        epsilon=comparison.epsilon,
        delta=_DELTA,
        rounds=1,
        sampling_probability=1.0,
        effort=Effort(seed=comparison.seed),
    )
    terms = terms_of(plan)
    markets = {name: _market(name, comparison.users, seed) for name in terms.markets}
    # Of twice as many candidates one half takes part, whoever they are; the others make the catalogue larger.
    order = np.random.default_rng(seed).permutation(min(market.num_users for market in markets.values()))
    candidates = order[: 2 * comparison.users]
    learners = {
        name: MarketLearner(
            _only(market, candidates[: comparison.users]), terms.learning, seed=terms.plan.run.seed
        )
        for name, market in markets.items()
    }
    asked_for = as_trained(_only(markets[terms.markets[0]], candidates).sequences)
    return _attacked(terms, learners, asked_for, np.arange(len(candidates)) < comparison.users, seed)


def _attacked(
    terms: Terms,
    learners: Mapping[NodeId, MarketLearner],
    candidates: tuple[npt.NDArray[np.int32], ...],
    takes_part: npt.NDArray[np.bool_],
    seed: int,
) -> dict[ViewName, _Figures]:
    learner = learners[terms.markets[0]]
    bought = np.zeros(learner.data.num_items, np.bool_)
    for sequence in learner.data.split.train:
        bought[sequence] = True
    gradients = known_gradients(terms, learner, candidates)
    found = {}
    for view, change in see(terms, learners, seed).views.items():
        items = item_scores(change, learner)
        found[view] = _Figures(
            auc(membership_scores(change, gradients), takes_part),
            auc(items, bought),
            recall(items, bought),
            float(bought.mean()),
        )
    return found


def _market(name: str, users: int, seed: int) -> MarketSequences:
    synthetic = SyntheticSettings(seed=seed, num_users=max(_MOST_USERS, 2 * users), num_items=_NUM_ITEMS)
    return load_market(DataSettings(kind="synthetic", market=name, min_core=1, synthetic=synthetic))


def _only(market: MarketSequences, chosen: npt.NDArray[np.int64]) -> MarketSequences:
    return MarketSequences(
        market.market,
        market.catalogue,
        tuple(market.user_ids[user] for user in chosen),
        tuple(market.sequences[user] for user in chosen),
    )
