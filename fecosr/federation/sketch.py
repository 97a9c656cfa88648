"""Round 0 of a plan whose semantics are made from behaviour: every market's sketch, added up and opened once.

Every market is invited, nobody trains, and there is no server step: what the secure aggregation opens is the
release. Every later manifest names it by its hash, so that markets whose vectors come from different sums
cannot even cancel each other's masks.
"""

import math
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np

from fecosr.crypto.key_agreement import derive_key
from fecosr.crypto.labels import Label
from fecosr.errors import CryptoError, ProtocolViolation
from fecosr.federation.aggregation import RingVector, Vector, parameters_hash
from fecosr.federation.messages import RoundManifest, RunClosed
from fecosr.ids import COORDINATOR
from fecosr.privacy.clipping import clipping, l2_norm
from fecosr.secagg.encoding import NORM_SLACK, UpdateEncoding
from fecosr.secagg.packing import FULL_BITS
from fecosr.secagg.rounding import PreparedUpdate

SKETCH_ROUND: Final = 0
"""The round that trains nothing; models are released from round 1 on."""


@dataclass(frozen=True, slots=True)
class SketchTerms:
    """Fix what a sketch looks like while it travels.

    Attributes:
        length: how many numbers it has.
        norm: L2 bound on a market's whole sketch, so that no sum leaves the ring; a longer one is shortened.
            What one user adds is bounded before that, in the market (`sketch_clip_norm`).
    """

    length: int
    norm: float


@dataclass(frozen=True, slots=True, eq=False)
class SketchContribution:
    """Hold one market's sketch, float32 [length]; it leaves the market only encoded and masked."""

    model_hash: bytes
    sketch: Vector = field(repr=False)


@cache
def start_hash(length: int) -> bytes:
    """Return the hash of what the sketch round starts from: zeros."""
    return parameters_hash(np.zeros(length, np.float32))


def sketch_encoding(manifest: RoundManifest) -> UpdateEncoding:
    """Return the encoding of every contribution to the sketch round: weight one, and no loss."""
    return UpdateEncoding(
        num_parameters=manifest.num_parameters,
        clip_norm=manifest.clip_norm,
        num_summands=manifest.num_summands,
        max_loss=1.0,
        ring_bits=manifest.ring_bits,
    )


def prepare_sketch(
    contribution: SketchContribution, manifest: RoundManifest, entropy: bytes
) -> PreparedUpdate:
    """Return what writes a market's masked sketch; rows that the market does not touch stay exactly zero."""
    clipped = clipping(contribution.sketch, manifest.clip_norm)
    return sketch_encoding(manifest).prepare(
        contribution.sketch,
        weight=1.0,
        loss=0.0,
        rounding_seed=derive_key(entropy, Label.ROUNDING, manifest.context()),
        shrink=clipped.factor,
        norm=clipped.norm,
    )


def open_sketch(total: RingVector, num_survivors: int, manifest: RoundManifest) -> Vector:
    """Return the sum of the survivors' sketches, float32 [length].

    Raises:
        CryptoError: the masks did not cancel, or somebody did not encode what the protocol says.
        MisuseError: the vector is not of this attempt.
    """
    encoding = sketch_encoding(manifest)
    decoded = encoding.decode(total, num_survivors)
    if decoded.weight != num_survivors or decoded.loss != 0.0:
        raise CryptoError("a sketch has weight one and no loss")
    rounding = math.sqrt(encoding.num_parameters) * num_survivors / encoding.update_scale
    if not l2_norm(decoded.update_sum) <= num_survivors * encoding.clip_norm * (1 + NORM_SLACK) + rounding:
        raise CryptoError("the sum is longer than as many sketches can be")
    return decoded.update_sum


def check_sketch(manifest: RoundManifest, terms: SketchTerms | None, known: bytes | None) -> None:
    """Refuse a second sketch round, one that does not start from zero, and a round with another sketch.

    Args:
        manifest: of the attempt, otherwise checked against the plan.
        terms: of the plan; None when it has no sketch, and so no round 0 either.
        known: hash of the sketch that this node was told of; None when it was not.

    Raises:
        ProtocolViolation: names the rule.
    """
    is_sketch_round = manifest.round == SKETCH_ROUND
    needs_sketch = terms is not None and not is_sketch_round
    rules = {
        "the sketch was released already": is_sketch_round and known is not None,
        "the sketch round starts from zeros": (
            is_sketch_round and terms is not None and manifest.model_hash != start_hash(terms.length)
        ),
        "the manifest names a sketch where there is none": (
            not needs_sketch and manifest.sketch_hash is not None
        ),
        "the manifest names no sketch": needs_sketch and manifest.sketch_hash is None,
        "the sketch is not the one that was released": (
            needs_sketch and known is not None and manifest.sketch_hash != known
        ),
    }
    for rule, broken in rules.items():
        if broken:
            raise ProtocolViolation(COORDINATOR, "round_task", rule)


def check_final_sketch(closed: RunClosed, terms: SketchTerms | None, known: bytes | None) -> None:
    """Refuse an end of the run that speaks of another sketch than the rounds did.

    Raises:
        ProtocolViolation: names the rule.
    """
    rules = {
        "the end names a sketch where there is none": terms is None and closed.sketch_hash is not None,
        "the end names no sketch": terms is not None and closed.sketch_hash is None,
        "the sketch is not the one that was released": known is not None and closed.sketch_hash != known,
    }
    for rule, broken in rules.items():
        if broken:
            raise ProtocolViolation(COORDINATOR, "run_closed", rule)


def ring_bits_of(round_number: int, planned: int) -> int:
    """Return the ring in which vectors of a round travel.

    A sketch takes the whole ring: the smaller ones rotate a vector, and would spread the rounding of few rows
    that are full over all those that are empty.
    """
    return FULL_BITS if round_number == SKETCH_ROUND else planned
