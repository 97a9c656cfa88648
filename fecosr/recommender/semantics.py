"""From item text to semantic vectors: hashed character n-grams through a seeded random sign projection.

The function is fixed by `SemanticsSettings` alone. It learns nothing and loads nothing, so every market that
was provisioned with the same settings gives the same vector to the same text, without showing it to anyone.
"""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fecosr.errors import MisuseError
from fecosr.recommender.settings import SemanticsSettings

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

SOURCE_TITLES = "titles"
SOURCE_IDENTIFIERS = "item ids (no text: neighbours carry no meaning)"

_BLOCK_SCORES = 1 << 23
"""Similarities held at a time, 32 MiB: beyond that page faults cost more than the products."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemSemantics:
    """Hold a catalogue's semantic vectors and, in words for a report, what they were made from.

    Attributes:
        vectors: float32 [V, Z], rows of length one.
        source: `SOURCE_TITLES` or `SOURCE_IDENTIFIERS`.
    """

    vectors: FloatArray = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Hold the nearest items of every item, nearest first, the item itself in front.

    Attributes:
        items: int64 [V, K].
        cosines: float32 [V, K].
    """

    items: IntArray = field(repr=False)
    cosines: FloatArray = field(repr=False)


def catalogue_semantics(
    item_ids: Sequence[str], titles: Sequence[str] | None, settings: SemanticsSettings
) -> ItemSemantics:
    """Return the semantic vectors of a catalogue, from its titles or, where it has none, from its item ids.

    An item with a blank title among titled ones takes the vector of its id.

    Raises:
        MisuseError: there are not as many titles as items.
    """
    identifiers = identifier_semantics(item_ids, settings)
    if titles is None:
        return ItemSemantics(identifiers, SOURCE_IDENTIFIERS)
    if len(titles) != len(item_ids):
        raise MisuseError("a catalogue needs as many titles as items")
    vectors = item_semantics(titles, settings)
    blank = ~vectors.any(axis=1)
    vectors[blank] = identifiers[blank]
    return ItemSemantics(vectors, SOURCE_TITLES)


def item_semantics(texts: Sequence[str], settings: SemanticsSettings) -> FloatArray:
    """Return one vector per text, `normalise(sum of the sign vectors of its n-grams)`.

    Texts are compared without regard to case, width and spacing. The cosine of two vectors estimates that of
    the texts' n-gram counts, with a standard error of about `1 / sqrt(Z)`.

    Returns:
        float32 [V, Z]; rows have length one, or are zero where a text is blank.
    """
    signs = _sign_table(settings)  # [buckets, Z]
    bucket_of: dict[str, int] = {}
    vectors = np.zeros((len(texts), settings.dimension), np.float32)
    for row, text in enumerate(texts):
        buckets = [_bucket(ngram, settings, bucket_of) for ngram in _ngrams(text, settings)]
        if buckets:
            vectors[row] = signs[buckets].sum(axis=0, dtype=np.int32)
    return _normalised(vectors)


def identifier_semantics(item_ids: Sequence[str], settings: SemanticsSettings) -> FloatArray:
    """Return one random vector per id: equal ids agree in all markets, different ids are nearly orthogonal.

    Returns:
        float32 [V, Z], rows of length one.
    """
    vectors = np.empty((len(item_ids), settings.dimension), np.float32)
    for row, item_id in enumerate(item_ids):
        vectors[row] = _signs(b"item-id", item_id.encode(), settings.dimension, settings.seed)
    return _normalised(vectors)


def semantic_neighbours(vectors: FloatArray, num_neighbours: int) -> Neighbours:
    """Return the `num_neighbours` nearest items of each item by cosine, exactly, itself included.

    The item itself always stands first, whatever else has the same vector; other ties go to the lower number.
    A catalogue with fewer items is returned whole.

    Args:
        vectors: float32 [V, Z], rows of length one.
        num_neighbours: K.
    """
    num_items = len(vectors)
    kept = min(num_neighbours, num_items)
    items = np.empty((num_items, kept), np.int64)
    cosines = np.empty((num_items, kept), np.float32)
    rows_at_a_time = max(1, _BLOCK_SCORES // max(1, num_items))
    for start in range(0, num_items, rows_at_a_time):
        block = slice(start, min(start + rows_at_a_time, num_items))
        items[block], cosines[block] = _nearest(vectors, block, kept)
    return Neighbours(items, cosines)


def _nearest(vectors: FloatArray, block: slice, kept: int) -> tuple[IntArray, FloatArray]:
    scores = vectors[block] @ vectors.T  # [rows, V]
    rows = np.arange(len(scores))
    own = rows + block.start
    scores[rows, own] = np.inf
    # A stable sort on the rounded score makes ties independent of the order in which a product was summed.
    order = np.argsort(-np.round(scores, 5), axis=1, kind="stable")[:, :kept]  # [rows, K]
    cosines = np.take_along_axis(scores, order, axis=1)
    cosines[:, 0] = 1.0
    return order.astype(np.int64), np.clip(cosines, -1.0, 1.0)


def _ngrams(text: str, settings: SemanticsSettings) -> list[str]:
    words = unicodedata.normalize("NFKC", text).casefold().split()
    if not words:
        return []
    # The outer spaces let an n-gram tell the first and last characters of a text from inner ones.
    line = f" {' '.join(words)} "
    sizes = range(settings.ngram_min, settings.ngram_max + 1)
    return [line[i : i + size] for size in sizes for i in range(len(line) - size + 1)] or [line]


def _bucket(ngram: str, settings: SemanticsSettings, known: dict[str, int]) -> int:
    bucket = known.get(ngram)
    if bucket is None:
        digest = hashlib.blake2b(ngram.encode(errors="replace"), digest_size=8).digest()
        bucket = int.from_bytes(digest, "big") % settings.buckets
        known[ngram] = bucket
    return bucket


def _sign_table(settings: SemanticsSettings) -> npt.NDArray[np.int8]:
    size = settings.buckets * settings.dimension
    return _signs(b"ngrams", b"", size, settings.seed).reshape(settings.buckets, settings.dimension)


def _signs(domain: bytes, name: bytes, size: int, seed: int) -> npt.NDArray[np.int8]:
    # SHAKE rather than a numpy generator: its output is fixed by a standard, not by a library's version.
    material = domain + seed.to_bytes(8, "big") + name
    bits = np.frombuffer(hashlib.shake_128(material).digest(size // 8), np.uint8)
    return np.unpackbits(bits).astype(np.int8) * np.int8(2) - np.int8(1)


def _normalised(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normalised: FloatArray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return normalised
