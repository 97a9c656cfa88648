"""Semantic vectors of items: what markets know about an item without showing who bought it.

One interface, `catalogue_semantics`, and one file for each thing that vectors can be made from.
"""

from fecosr.recommender.semantics.behaviour import is_sketched
from fecosr.recommender.semantics.catalogue import (
    SOURCE_BEHAVIOUR,
    SOURCE_GIVEN,
    SOURCE_IDENTIFIERS,
    SOURCE_TITLES,
    ItemSemantics,
    catalogue_semantics,
    embedding_dimension,
    semantics_source,
)
from fecosr.recommender.semantics.embedding_files import pinned
from fecosr.recommender.semantics.hashed_ngrams import item_semantics
from fecosr.recommender.semantics.item_ids import identifier_semantics
from fecosr.recommender.semantics.neighbours import Neighbours, semantic_neighbours
from fecosr.recommender.semantics.signs import FloatArray, IntArray
from fecosr.recommender.semantics.text_vectors import NO_ACCESS, EmbeddingAccess, VectorCache

__all__ = [
    "NO_ACCESS",
    "SOURCE_BEHAVIOUR",
    "SOURCE_GIVEN",
    "SOURCE_IDENTIFIERS",
    "SOURCE_TITLES",
    "EmbeddingAccess",
    "FloatArray",
    "IntArray",
    "ItemSemantics",
    "Neighbours",
    "VectorCache",
    "catalogue_semantics",
    "embedding_dimension",
    "identifier_semantics",
    "is_sketched",
    "item_semantics",
    "pinned",
    "semantic_neighbours",
    "semantics_source",
]
