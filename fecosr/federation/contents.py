"""What a masked vector holds, derived from the manifest alike by nodes, coordinator and auditor."""

from dataclasses import dataclass, field
from typing import Protocol

from fecosr.errors import CryptoError
from fecosr.federation.aggregation import RingVector, Vector, mean_update
from fecosr.federation.messages import RoundManifest
from fecosr.federation.private_rounds import PrivateEncoding, mechanism_of
from fecosr.federation.sketch import SKETCH_ROUND, SketchTerms, ring_bits_of, sketch_encoding
from fecosr.federation.user_privacy import DistributedPrivacy, UserPrivacy
from fecosr.secagg.encoding import UpdateEncoding


class ContentTerms(Protocol):
    """Be what a plan says about the contents of masked vectors."""

    @property
    def clip_norm(self) -> float:
        """Return the L2 bound on an update."""

    @property
    def ring_bits(self) -> int:
        """Return the bits per parameter in which an update travels."""

    @property
    def sketch(self) -> SketchTerms | None:
        """Return the terms of the sketch round; None without one."""

    @property
    def max_loss(self) -> float:
        """Return the bound on a reported loss."""

    @property
    def releases_validation(self) -> bool:
        """Return whether the validation metric travels with every update."""

    @property
    def privacy(self) -> UserPrivacy | None:
        """Return what is promised to users; None in mode "none"."""


@dataclass(frozen=True, slots=True)
class VectorTerms:
    """Hold what the plan fixes of the vectors of one round, and every manifest of it repeats."""

    num_parameters: int
    clip_norm: float
    ring_bits: int


@dataclass(frozen=True, slots=True, eq=False)
class OpenedSum:
    """Hold what a sum over the survivors says.

    Attributes:
        step: float32 [P], what the server optimiser steps along.
        weight: sum of the survivors' weights; None where contributions have none.
        loss: mean training loss; None when it is not released.
        validation: mean validation metric of the model the round started from; None when nobody released it.
    """

    step: Vector = field(repr=False)
    weight: float | None
    loss: float | None
    validation: float | None


def vector_terms(round_number: int, num_parameters: int, terms: ContentTerms) -> VectorTerms:
    """Return what every manifest of a round must say of its vectors.

    Args:
        round_number: the round.
        num_parameters: of the shared model.
        terms: of the plan.
    """
    ring_bits = ring_bits_of(round_number, terms.ring_bits)
    if round_number == SKETCH_ROUND and terms.sketch is not None:
        return VectorTerms(terms.sketch.length, terms.sketch.norm, ring_bits)
    return VectorTerms(num_parameters, terms.clip_norm, ring_bits)


def update_encoding(manifest: RoundManifest, terms: ContentTerms) -> UpdateEncoding:
    """Return the encoding of updates: exact ones, and in mode "local" noisy ones."""
    return UpdateEncoding(
        num_parameters=manifest.num_parameters,
        clip_norm=manifest.clip_norm,
        num_summands=manifest.num_summands,
        max_loss=terms.max_loss,
        ring_bits=manifest.ring_bits,
        rotation_seed=manifest.context(),
        with_validation=terms.releases_validation,
    )


def private_encoding(manifest: RoundManifest, terms: ContentTerms) -> PrivateEncoding | None:
    """Return the encoding of sums to which every market adds a share of noise; None in the other modes.

    Raises:
        MisuseError: the plan has noise and the manifest has not, or has none there could be.
    """
    privacy = terms.privacy
    if not isinstance(privacy, DistributedPrivacy):
        return None
    mechanism = mechanism_of(manifest, privacy)
    return PrivateEncoding(mechanism, privacy.expected_users, num_summands=manifest.num_summands)


def contents_length(manifest: RoundManifest, terms: ContentTerms) -> int:
    """Return how many ring elements a masked vector of an attempt has."""
    if manifest.round == SKETCH_ROUND:
        return sketch_encoding(manifest).length
    return (private_encoding(manifest, terms) or update_encoding(manifest, terms)).length


def open_sum(
    total: RingVector, num_survivors: int, manifest: RoundManifest, terms: ContentTerms
) -> OpenedSum:
    """Return what an opened sum says.

    Raises:
        CryptoError: the masks did not cancel, or somebody did not encode what the protocol says.
        MisuseError: the vector is not of this attempt.
    """
    private = private_encoding(manifest, terms)
    if private is not None:
        return OpenedSum(private.decode(total, num_survivors), None, None, None)
    decoded = update_encoding(manifest, terms).decode(total, num_survivors)
    if terms.privacy is not None:
        if decoded.weight != num_survivors or decoded.loss != 0.0:
            raise CryptoError("a noisy update has weight one and no loss")
        return OpenedSum(mean_update(decoded), decoded.weight, None, None)
    loss = decoded.loss / decoded.weight
    return OpenedSum(mean_update(decoded), decoded.weight, loss, decoded.mean_validation)
