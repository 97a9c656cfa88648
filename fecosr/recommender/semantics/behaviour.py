"""Semantics of catalogues without text: which items the same users have, counted over all markets at once.

Every market sketches its co-occurrence counts, the sketches are added under secure aggregation, and each node
reads the vectors of its own items out of the sum:

    user u, items S_u        Y_u[bucket(i)] += |S_u|^-1/2 * sum of omega_j over j in S_u but i, for i in S_u
    market                   Y = sum over users of clip(Y_u)                                         [B, Z]
    item i, from the sum     z_i = unit(unit(Y[bucket(i)]) without the mean direction + omega_i / 2)

omega_j is the random sign vector of item j's id, bucket(i) a hash of item i's id: both are public, so no
market has to know which items others sell, and none shows a count that is not summed over all of them.
Inner products of two rows are, up to noise of about 1 / sqrt(Z), those of the rows of counts. Buckets that
two items share are a mixture of both.

Reference: Charikar et al. 2002, "Finding Frequent Items in Data Streams", for hashed linear sketches;
Achlioptas 2003, "Database-friendly random projections", for the signs.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fecosr.errors import MisuseError
from fecosr.recommender.semantics.item_ids import identifier_semantics
from fecosr.recommender.semantics.signs import FloatArray, IntArray, normalised
from fecosr.recommender.settings import SemanticsSettings

_OWN_SHARE = 0.5
"""What an item's own random vector adds: items that nobody combines stay apart."""


def sketch_of(
    sequences: Sequence[npt.NDArray[np.int32]], item_ids: Sequence[str], settings: SemanticsSettings
) -> FloatArray:
    """Return one market's sketch, to be added to those of the others.

    Args:
        sequences: the training part of every user, as item numbers; of longer ones the latest
            `sketch_items` different items count, and how often a user has an item does not.
        item_ids: the id behind every item number.
        settings: of the sketch; the same in every market.

    Returns:
        float32 [B * Z], bucket by bucket.

    Guarantees:
        Adding or removing one user changes the sketch by at most `sketch_clip_norm` in L2 norm, up to the
        rounding of a float32 sum.
    """
    omega = identifier_semantics(item_ids, settings)  # [V, Z]
    buckets = _buckets(item_ids, settings)  # [V]
    # Only buckets of this catalogue can be touched: summed in double, and spread out at the end.
    used, place = np.unique(buckets, return_inverse=True)
    total = np.zeros((len(used), settings.dimension))
    for sequence in sequences:
        items = _latest(sequence, settings.sketch_items)
        if len(items) > 1:
            rows, values = contribution(items, place, omega, settings.sketch_clip_norm)
            total[rows] += values
    sketch = np.zeros((settings.sketch_buckets, settings.dimension), np.float32)
    sketch[used] = total
    return sketch.reshape(-1)


def contribution(
    items: IntArray, buckets: IntArray, omega: FloatArray, clip_norm: float
) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """Return what one user adds: different rows, [R], and values, float64 [R, Z], clipped to `clip_norm`.

    Args:
        items: the user's different items, at least two.
        buckets: of every item, [V].
        omega: of every item, float32 [V, Z].
        clip_norm: the bound.
    """
    own = omega[items].astype(np.float64)  # [n, Z]
    of_others = (own.sum(axis=0) - own) / np.sqrt(len(items))  # [n, Z]
    rows, place = np.unique(buckets[items], return_inverse=True)
    values = np.zeros((len(rows), omega.shape[1]))
    np.add.at(values, place, of_others)
    norm = float(np.sqrt(np.square(values).sum()))
    return rows, values * min(1.0, clip_norm / norm) if norm > 0.0 else values


def semantics_from(sketches: FloatArray, item_ids: Sequence[str], settings: SemanticsSettings) -> FloatArray:
    """Return the vectors of a catalogue's items, float32 [V, Z], rows of length one.

    The same item gets the same vector in every market that holds the same sum.

    Args:
        sketches: the sum of all markets' sketches, or any positive multiple of it, float32 [B * Z].
        item_ids: of the catalogue.
        settings: with which the sketches were made.

    Raises:
        MisuseError: the sum is not of these settings, or not finite.
    """
    if sketches.shape != (settings.sketch_length,) or not np.isfinite(sketches).all():
        raise MisuseError(f"the sum of sketches must be {settings.sketch_length} finite numbers")
    rows = normalised(sketches.reshape(settings.sketch_buckets, settings.dimension))  # [B, Z]
    # What all rows have in common is what everybody buys. It is taken out of every row alike.
    common = normalised(rows.sum(axis=0, dtype=np.float64, keepdims=True).astype(np.float32))  # [1, Z]
    own = rows[_buckets(item_ids, settings)]  # [V, Z]
    # Row by row and not as a product: an item's vector must not depend on which other items a market has.
    specific = own - (own * common).sum(axis=1, keepdims=True) * common
    return normalised(specific + np.float32(_OWN_SHARE) * identifier_semantics(item_ids, settings))


def is_sketched(
    vectors: FloatArray, item_ids: Sequence[str], settings: SemanticsSettings
) -> npt.NDArray[np.bool_]:
    """Return of which items the sketches said anything, bool [V].

    The others have nothing in their row, and so the vector of their id alone. An item that nobody has can
    share its row with one that somebody has, with a chance of at most the number of items of all markets
    divided by B, and then passes for known.
    """
    differs = np.abs(vectors - identifier_semantics(item_ids, settings)) > 1e-5  # [V, Z]
    return np.asarray(differs.any(axis=1), dtype=np.bool_)


def _latest(sequence: npt.NDArray[np.int32], most: int) -> IntArray:
    """Return the different items of a sequence, latest first, at most `most`."""
    items, first = np.unique(sequence[::-1], return_index=True)
    return items[np.argsort(first)][:most].astype(np.int64)


def _buckets(item_ids: Sequence[str], settings: SemanticsSettings) -> IntArray:
    """Return the public bucket of each id, int64 [V]."""
    person = settings.seed.to_bytes(8, "big")
    digests = [hashlib.blake2b(item.encode(), digest_size=8, person=person).digest() for item in item_ids]
    return np.array([int.from_bytes(digest, "big") % settings.sketch_buckets for digest in digests], np.int64)
