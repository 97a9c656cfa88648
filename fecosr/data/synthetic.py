"""Markets generated from one shared behaviour process, with catalogues and words of their own.

The shared process is a Markov chain over latent categories, and inside each category over sub-topics ("who
bought a tent of this kind next needs a stove of that kind"). Every market draws its users from this chain,
but sells its own items, under its own words, with its own favourites. So the chain is worth learning together
and everything about items must stay local. A node generates its market from the shared seed and its name.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from fecosr.data.seeding import generator_for
from fecosr.data.settings import SyntheticSettings
from fecosr.data.titles import market_titles

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

SUCCESSOR_WEIGHTS: Final = (0.3, 0.15, 0.1)
"""Chances of a category's first, second and third successor; the rest goes to all categories alike."""
TOPIC_AFFINITY: Final = 6.0
"""How much likelier an item of the sub-topic needed next is than another, at equal popularity."""
_FIRST_SECOND: Final = 1_700_000_000
_LONGEST_GAP_SECONDS: Final = 14 * 24 * 3600


@dataclass(frozen=True, slots=True, eq=False)
class BehaviourProcess:
    """Hold what all markets share: C categories with S sub-topics each.

    Attributes:
        transitions: chance of the next category given the last; rows and columns sum to 1: none is rare.
        next_topic: the sub-topic needed in the next category, given the last category and its sub-topic.
    """

    transitions: FloatArray  # [C, C]
    next_topic: IndexArray  # [C, S, C]


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """Hold how one market was generated, for tests and upper bounds; nothing may train on it.

    Attributes:
        process: the shared process.
        item_ids: the market's items.
        category: of each item.
        topic: sub-topic of each item.
        popularity: of each item within its category, unnormalised.
    """

    process: BehaviourProcess
    item_ids: tuple[str, ...]
    category: IndexArray  # [V]
    topic: IndexArray  # [V]
    popularity: FloatArray  # [V]

    def next_item_weights(self, item: int) -> FloatArray:
        """Return the chance of each next item after `item`, for a user who has seen none of them."""
        category, topic = self.category[item], self.topic[item]
        needed = self.process.next_topic[category, topic][self.category]  # [V]
        weights = self.popularity * np.where(self.topic == needed, TOPIC_AFFINITY, 1.0)  # [V]
        totals = np.bincount(self.category, weights, minlength=len(self.process.transitions))  # [C]
        chances: FloatArray = self.process.transitions[category][self.category] * weights  # [V]
        return chances / totals[self.category]


def behaviour_process(settings: SyntheticSettings) -> BehaviourProcess:
    """Return the process that all markets with the same seed, categories and sub-topics share."""
    generator = generator_for(settings.seed, "process")
    num_categories, num_topics = settings.num_categories, settings.num_topics
    transitions = np.full((num_categories, num_categories), (1 - sum(SUCCESSOR_WEIGHTS)) / num_categories)
    for weight in SUCCESSOR_WEIGHTS:
        transitions[np.arange(num_categories), generator.permutation(num_categories)] += weight
    next_topic = generator.integers(num_topics, size=(num_categories, num_topics, num_categories))
    return BehaviourProcess(transitions, next_topic)


def ground_truth(market: str, settings: SyntheticSettings) -> GroundTruth:
    """Return how the market is generated."""
    num_shared = round(settings.shared_item_share * settings.num_items)
    num_own = settings.num_items - num_shared
    shared = _items(generator_for(settings.seed, "shared items"), settings, num_shared)
    own = _items(generator_for(settings.seed, "items", market), settings, num_own)
    category, topic = np.concatenate([shared, own], axis=1)  # [V], [V]
    item_ids = [f"all-{number:05d}" for number in range(num_shared)]
    item_ids += [f"{market}-{number:05d}" for number in range(num_own)]
    popularity = _popularity(generator_for(settings.seed, "popularity", market), settings, category)
    return GroundTruth(behaviour_process(settings), tuple(item_ids), category, topic, popularity)


def generate_market(market: str, settings: SyntheticSettings) -> pl.DataFrame:
    """Return one market's interactions, with titles, as the readers return them.

    The same settings and name always give the same market, without a look at any other. No user meets an item
    twice.
    """
    truth = ground_truth(market, settings)
    titles = market_titles(market, settings, truth.item_ids, truth.category, truth.topic)
    generator = generator_for(settings.seed, "users", market)
    users, items, times = [], [], []
    for user in range(settings.num_users):
        length = settings.min_length + int(generator.poisson(settings.mean_length - settings.min_length))
        walk = _walk(truth, generator, min(length, settings.num_items // 2))
        gaps = generator.integers(3600, _LONGEST_GAP_SECONDS, size=len(walk))
        users += [f"{market}-user-{user:05d}"] * len(walk)
        items += walk
        times += (_FIRST_SECOND + np.cumsum(gaps)).tolist()
    return pl.DataFrame(
        {
            "user": users,
            "item": [truth.item_ids[item] for item in items],
            "timestamp": pl.Series(times, dtype=pl.Int64),
            "row": pl.Series(range(len(items)), dtype=pl.Int64),
            "title": [titles[item] for item in items],
        }
    )


def _walk(truth: GroundTruth, generator: np.random.Generator, length: int) -> list[int]:
    """Return one user's items: the chain, never the same item twice.

    The category is drawn first and from the chain alone, so that leaving out items the user has seen does not
    bend the transitions; a category of which the user has seen everything gives way to another draw.
    """
    unseen = np.ones(len(truth.item_ids), dtype=bool)  # [V]
    num_categories, num_topics = truth.process.next_topic.shape[:2]
    category = int(generator.integers(num_categories))
    needed = int(generator.integers(num_topics))
    walk: list[int] = []
    while len(walk) < length:
        candidates = np.flatnonzero((truth.category == category) & unseen)
        if len(candidates):
            affinity = np.where(truth.topic[candidates] == needed, TOPIC_AFFINITY, 1.0)
            item = int(generator.choice(candidates, p=_normalised(truth.popularity[candidates] * affinity)))
            unseen[item] = False
            walk.append(item)
        last = walk[-1] if walk else int(generator.integers(len(truth.item_ids)))
        category = int(generator.choice(num_categories, p=truth.process.transitions[truth.category[last]]))
        needed = int(truth.process.next_topic[truth.category[last], truth.topic[last], category])
    return walk


def _items(generator: np.random.Generator, settings: SyntheticSettings, number: int) -> IndexArray:
    """Return the categories and sub-topics of `number` items, spread evenly; fewer are the first of more."""
    num_categories = settings.num_categories
    num_turns = -(-number // num_categories)
    rotation = generator.integers(settings.num_topics, size=num_categories)
    category = np.array([generator.permutation(num_categories) for _ in range(num_turns)], dtype=np.int64)
    category = category.reshape(-1)[:number]
    topic = (np.arange(number) // num_categories + rotation[category]) % settings.num_topics
    return np.stack([category, topic])  # [2, number]


def _popularity(
    generator: np.random.Generator, settings: SyntheticSettings, category: IndexArray
) -> FloatArray:
    """Return a Zipf law over the items of each category, in an order that only this market has."""
    order = generator.permutation(len(category))
    popularity = np.empty(len(category))  # [V]
    seen = np.zeros(settings.num_categories)
    for item in order:
        seen[category[item]] += 1
        popularity[item] = seen[category[item]] ** -settings.popularity_exponent
    return popularity


def _normalised(weights: FloatArray) -> FloatArray:
    """Return weights scaled to sum to 1."""
    scaled: FloatArray = weights / weights.sum()
    return scaled
