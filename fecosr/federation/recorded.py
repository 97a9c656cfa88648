"""Between what is said and what the ledger repeats of it; the fields have the same names on both sides.

The ledger is a lower layer that knows neither manifests nor adverts: it can be read without the protocol.
"""

from dataclasses import asdict

from fecosr.federation.messages import RoundManifest
from fecosr.ledger.records import ManifestFields, RecordedAdvert
from fecosr.secagg.messages import KeyAdvert


def manifest_fields(manifest: RoundManifest) -> ManifestFields:
    """Return what the ledger repeats of a manifest: all of it."""
    return ManifestFields(**asdict(manifest))


def manifest_from(fields: ManifestFields) -> RoundManifest:
    """Return the manifest that a record repeats."""
    return RoundManifest(**asdict(fields))


def recorded_advert(advert: KeyAdvert) -> RecordedAdvert:
    """Return what the ledger repeats of an advert: all of it."""
    return RecordedAdvert(**asdict(advert))


def advert_from(recorded: RecordedAdvert) -> KeyAdvert:
    """Return the advert that a record repeats."""
    return KeyAdvert(**asdict(recorded))
