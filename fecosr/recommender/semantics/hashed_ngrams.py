"""From item text to semantic vectors: hashed character n-grams through a seeded random sign projection.

The function is fixed by `SemanticsSettings` alone. It learns nothing and loads nothing, so every market that
was provisioned with the same settings gives the same vector to the same text, without showing it to anyone.
"""

import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fecosr.recommender.semantics.signs import FloatArray, normalised, random_signs
from fecosr.recommender.settings import SemanticsSettings


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
    return normalised(vectors)


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
    return random_signs(b"ngrams", b"", size, settings.seed).reshape(settings.buckets, settings.dimension)
