"""The one door to a catalogue's semantic vectors, whatever the plan makes them from."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fecosr.errors import DataError, MisuseError
from fecosr.recommender.semantics.behaviour import semantics_from
from fecosr.recommender.semantics.embedding_files import check_space, embedding_files
from fecosr.recommender.semantics.given_vectors import read_vectors, vector_length
from fecosr.recommender.semantics.hashed_ngrams import item_semantics
from fecosr.recommender.semantics.item_ids import identifier_semantics
from fecosr.recommender.semantics.projection import projected, side_by_side
from fecosr.recommender.semantics.signs import FloatArray
from fecosr.recommender.semantics.text_vectors import NO_ACCESS, EmbeddingAccess, text_vectors
from fecosr.recommender.settings import TEXT_MODELS, SemanticsSettings

SOURCE_TITLES = "titles"
SOURCE_IDENTIFIERS = "item ids (no text: neighbours carry no meaning)"
SOURCE_BEHAVIOUR = "behaviour (no text: what the users of all markets have in common)"
SOURCE_GIVEN = "given vectors (what they say of an item is up to who made them)"


@dataclass(frozen=True, slots=True, eq=False)
class ItemSemantics:
    """Hold a catalogue's semantic vectors and, in words for a report, what they were made from.

    Attributes:
        vectors: float32 [V, Z], rows of length one.
        source: `SOURCE_TITLES`, `SOURCE_IDENTIFIERS`, `SOURCE_BEHAVIOUR` or `SOURCE_GIVEN`.
    """

    vectors: FloatArray = field(repr=False)
    source: str


def catalogue_semantics(
    item_ids: Sequence[str],
    titles: Sequence[str] | None,
    settings: SemanticsSettings,
    sketches: FloatArray | None = None,
    *,
    access: EmbeddingAccess = NO_ACCESS,
) -> ItemSemantics:
    """Return the semantic vectors of a catalogue.

    Of kind "hashed_ngrams" they come from its titles or, where it has none, from its item ids. An item with a
    blank title among titled ones takes the vector of its id.

    Args:
        item_ids: of the items.
        titles: in the same order; None where the data have none.
        settings: what the plan makes vectors from.
        sketches: the sum of all markets' sketches, for kind "behaviour".
        access: how this machine gets at an embedding, for the kinds that have one.

    Raises:
        ConfigError: the embedding cannot be used here.
        DataError: there are no titles for a text model, or a given vector is missing or unusable.
        MisuseError: there are not as many titles as items, or no sketches where they are needed.
        OtherSemanticSpace: the embedding is not the one that the settings name.
    """
    if titles is not None and len(titles) != len(item_ids):
        raise MisuseError("a catalogue needs as many titles as items")
    source = semantics_source(titles, settings)
    if settings.kind == "behaviour":
        if sketches is None:
            raise MisuseError("behaviour semantics need the sum of the markets' sketches")
        return ItemSemantics(semantics_from(sketches, item_ids, settings), source)
    if settings.kind == "vectors":
        return ItemSemantics(_given_semantics(item_ids, settings, access), source)
    if settings.kind in TEXT_MODELS and titles is None:
        raise DataError(
            f"the items have no titles, of which semantics.kind {settings.kind!r} makes vectors",
            remedy="name the column of titles, or have the plan use 'hashed_ngrams' or 'behaviour'",
        )
    identifiers = identifier_semantics(item_ids, settings)
    if settings.kind == "item_ids" or titles is None:
        return ItemSemantics(identifiers, source)
    modelled = settings.kind in TEXT_MODELS
    vectors = _text_semantics(titles, settings, access) if modelled else item_semantics(titles, settings)
    blank = ~vectors.any(axis=1) | np.array([not title.strip() for title in titles], dtype=np.bool_)
    vectors[blank] = identifiers[blank]
    return ItemSemantics(vectors, source)


def semantics_source(titles: Sequence[str] | None, settings: SemanticsSettings) -> str:
    """Return what `catalogue_semantics` makes vectors from, in words for a report."""
    match settings.kind:
        case "behaviour":
            return SOURCE_BEHAVIOUR
        case "vectors":
            return SOURCE_GIVEN
        case "item_ids":
            return SOURCE_IDENTIFIERS
        case _:
            return SOURCE_IDENTIFIERS if titles is None else SOURCE_TITLES


def embedding_dimension(settings: SemanticsSettings, access: EmbeddingAccess) -> int:
    """Return E, in how many dimensions an embedding on this machine has its vectors.

    Raises:
        ConfigError: it cannot be used.
    """
    if settings.kind == "vectors":
        return vector_length(embedding_files(settings, access.path).root)
    return len(text_vectors(["a"], settings, access)[0])


def _given_semantics(
    item_ids: Sequence[str], settings: SemanticsSettings, access: EmbeddingAccess
) -> FloatArray:
    files = embedding_files(settings, access.path)
    check_space(settings, files.digest())
    return projected(read_vectors(files.root, item_ids), settings.dimension, settings.seed)


def _text_semantics(
    titles: Sequence[str], settings: SemanticsSettings, access: EmbeddingAccess
) -> FloatArray:
    vectors = text_vectors(titles, settings, access)  # [V, E]
    if not settings.ngram_share:
        return projected(vectors, settings.dimension, settings.seed)
    half = settings.dimension // 2
    ngrams = item_semantics(titles, replace(settings, dimension=half))  # [V, Z / 2]
    return side_by_side(ngrams, projected(vectors, half, settings.seed), settings.ngram_share)
