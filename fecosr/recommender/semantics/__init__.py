"""Semantic vectors of items: what markets know about an item without showing who bought it.

One interface, `catalogue_semantics`, and one file for each thing that vectors can be made from.
"""

from fecosr.recommender.semantics.catalogue import (
    SOURCE_BEHAVIOUR,
    SOURCE_IDENTIFIERS,
    SOURCE_TITLES,
    ItemSemantics,
    catalogue_semantics,
)
from fecosr.recommender.semantics.hashed_ngrams import item_semantics
from fecosr.recommender.semantics.item_ids import identifier_semantics
from fecosr.recommender.semantics.neighbours import Neighbours, semantic_neighbours
from fecosr.recommender.semantics.signs import FloatArray, IntArray

__all__ = [
    "SOURCE_BEHAVIOUR",
    "SOURCE_IDENTIFIERS",
    "SOURCE_TITLES",
    "FloatArray",
    "IntArray",
    "ItemSemantics",
    "Neighbours",
    "catalogue_semantics",
    "identifier_semantics",
    "item_semantics",
    "semantic_neighbours",
]
