"""The one door to a catalogue's semantic vectors, whatever the plan makes them from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fecosr.errors import MisuseError
from fecosr.recommender.semantics.behaviour import semantics_from
from fecosr.recommender.semantics.hashed_ngrams import item_semantics
from fecosr.recommender.semantics.item_ids import identifier_semantics
from fecosr.recommender.semantics.signs import FloatArray
from fecosr.recommender.settings import SemanticsSettings

SOURCE_TITLES = "titles"
SOURCE_IDENTIFIERS = "item ids (no text: neighbours carry no meaning)"
SOURCE_BEHAVIOUR = "behaviour (no text: what the users of all markets have in common)"


@dataclass(frozen=True, slots=True, eq=False)
class ItemSemantics:
    """Hold a catalogue's semantic vectors and, in words for a report, what they were made from.

    Attributes:
        vectors: float32 [V, Z], rows of length one.
        source: `SOURCE_TITLES`, `SOURCE_IDENTIFIERS` or `SOURCE_BEHAVIOUR`.
    """

    vectors: FloatArray = field(repr=False)
    source: str


def catalogue_semantics(
    item_ids: Sequence[str],
    titles: Sequence[str] | None,
    settings: SemanticsSettings,
    sketches: FloatArray | None = None,
) -> ItemSemantics:
    """Return the semantic vectors of a catalogue.

    Of kind "hashed_ngrams" they come from its titles or, where it has none, from its item ids; an item with a
    blank title among titled ones takes the vector of its id.

    Args:
        item_ids: of the items.
        titles: in the same order; None where the data have none.
        settings: what the plan makes vectors from.
        sketches: the sum of all markets' sketches, for kind "behaviour".

    Raises:
        MisuseError: there are not as many titles as items, or no sketches where they are needed.
    """
    if titles is not None and len(titles) != len(item_ids):
        raise MisuseError("a catalogue needs as many titles as items")
    if settings.kind == "behaviour":
        if sketches is None:
            raise MisuseError("behaviour semantics need the sum of the markets' sketches")
        return ItemSemantics(semantics_from(sketches, item_ids, settings), SOURCE_BEHAVIOUR)
    identifiers = identifier_semantics(item_ids, settings)
    if settings.kind == "item_ids" or titles is None:
        return ItemSemantics(identifiers, SOURCE_IDENTIFIERS)
    vectors = item_semantics(titles, settings)
    blank = ~vectors.any(axis=1)
    vectors[blank] = identifiers[blank]
    return ItemSemantics(vectors, SOURCE_TITLES)
