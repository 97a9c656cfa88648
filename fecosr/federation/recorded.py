"""Between what is said and what the ledger repeats of it; the fields have the same names on both sides.

The ledger is a lower layer that knows neither manifests nor adverts: it can be read without the protocol.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from typing import Any, TypeVar

from fecosr.federation.messages import NoiseTerms, RoundManifest
from fecosr.ledger.records import ManifestFields, NoiseFields, RecordedAdvert, RecordedEvent
from fecosr.ledger.schema import to_json
from fecosr.privacy.events import Event, NonPrivate, PoissonIntegerGaussian, event_from_fields
from fecosr.secagg.messages import KeyAdvert

_Said = TypeVar("_Said")


def manifest_fields(manifest: RoundManifest) -> ManifestFields:
    """Return what the ledger repeats of a manifest: all of it."""
    noise = None if manifest.noise is None else _same_fields(NoiseFields, manifest.noise)
    return _same_fields(ManifestFields, manifest, noise=noise)


@lru_cache(maxsize=64)
def manifest_from(fields: ManifestFields) -> RoundManifest:
    """Return the manifest that a record repeats."""
    noise = None if fields.noise is None else _same_fields(NoiseTerms, fields.noise)
    return _same_fields(RoundManifest, fields, noise=noise)


def recorded_event(event: PoissonIntegerGaussian) -> RecordedEvent:
    """Return what the ledger repeats of a privacy event: all of it."""
    return RecordedEvent(kind="poisson_integer_gaussian", **asdict(event))


@lru_cache(maxsize=64)
def event_from(recorded: RecordedEvent | None) -> Event:
    """Return the privacy event that a record repeats; a record without one is a release without privacy.

    Raises:
        MisuseError: a value is out of range.
    """
    if recorded is None:
        return NonPrivate()
    values = to_json(recorded)
    assert isinstance(values, dict)  # noqa: S101 - a dataclass becomes an object
    return event_from_fields(values)


def recorded_advert(advert: KeyAdvert) -> RecordedAdvert:
    """Return what the ledger repeats of an advert: all of it."""
    return _same_fields(RecordedAdvert, advert)


def advert_from(recorded: RecordedAdvert) -> KeyAdvert:
    """Return the advert that a record repeats."""
    return _same_fields(KeyAdvert, recorded)


def _same_fields(kind: Callable[..., _Said], source: Any, **changed: object) -> _Said:
    """Return a value of another kind with the same fields, without copying what stands in them."""
    return kind(**{name: getattr(source, name) for name in source.__match_args__} | changed)
