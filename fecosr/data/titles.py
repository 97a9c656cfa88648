"""Titles of generated items: shared words for what an item is, local words for everything else.

All markets know the same stems, one set per category and one per sub-topic, but each spells them in its own
dialect (an ending of its own), and adds brands and filler words that mean nothing elsewhere. So titles agree
across markets in their character n-grams, not as whole words, much as related languages do.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fecosr.data.seeding import generator_for
from fecosr.data.settings import SyntheticSettings

_ONSETS: Final = (
    "b",
    "d",
    "f",
    "g",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "z",
    "br",
    "tr",
    "st",
    "kl",
)
_VOWELS: Final = ("a", "e", "i", "o", "u")
_ENDINGS: Final = ("", "e", "en", "o", "is", "ar", "el", "ik")
_NUM_SYNONYMS: Final = 3
_NUM_BRANDS: Final = 12
_NUM_FILLERS: Final = 20


def market_titles(
    market: str,
    settings: SyntheticSettings,
    item_ids: Sequence[str],
    category: npt.NDArray[np.int64],
    topic: npt.NDArray[np.int64],
) -> tuple[str, ...]:
    """Return one title per item: a brand, two of its category's words, two of its sub-topic's, a filler."""
    shared = generator_for(settings.seed, "words")
    category_stems = [_words(shared, _NUM_SYNONYMS, 3) for _ in range(settings.num_categories)]
    topic_stems = [
        [_words(shared, _NUM_SYNONYMS, 3) for _ in range(settings.num_topics)]
        for _ in range(settings.num_categories)
    ]
    local = generator_for(settings.seed, "words", market)
    brands, fillers = _words(local, _NUM_BRANDS, 2), _words(local, _NUM_FILLERS, 2)
    ending = _ENDINGS[int(local.integers(len(_ENDINGS)))]

    def title(item: int) -> str:
        stems = [
            *local.choice(category_stems[category[item]], 2, replace=False),
            *local.choice(topic_stems[category[item]][topic[item]], 2, replace=False),
        ]
        words = [f"{stem}{ending}" for stem in stems]
        return " ".join([str(local.choice(brands)), *words, str(local.choice(fillers))])

    return tuple(title(item) for item in range(len(item_ids)))


def _words(generator: np.random.Generator, number: int, num_syllables: int) -> list[str]:
    """Return made-up words one can pronounce."""
    return [
        "".join(
            _ONSETS[int(generator.integers(len(_ONSETS)))] + _VOWELS[int(generator.integers(len(_VOWELS)))]
            for _ in range(num_syllables)
        )
        for _ in range(number)
    ]
