from collections.abc import Sequence

import pytest

from fecosr.crypto.signatures import SigningKey
from fecosr.ids import NodeId, RunId
from fecosr.ledger.log import Entry, Log, append, genesis
from fecosr.ledger.records import (
    Body,
    CohortFixed,
    CoordinatorRestarted,
    ManifestFields,
    NodeConvicted,
    PrivacyTerms,
    RecordedAdvert,
    RecordedSignature,
    RoundAborted,
    RoundOpened,
    RoundReleased,
    RunAborted,
    RunCompleted,
    RunOpened,
    SketchReleased,
    SurvivorsFixed,
    UnmaskingBegun,
)

RUN = RunId("trial")
DE, US = NodeId("de"), NodeId("us")


@pytest.fixture
def run() -> RunId:
    return RUN


@pytest.fixture
def key() -> SigningKey:
    return SigningKey(b"\x01" * 32)


@pytest.fixture
def bodies(key: SigningKey) -> tuple[Body, ...]:
    """Return one body of every kind; what they say fits together only as far as the schema goes."""
    digest, signature = b"\xab" * 32, b"\xcd" * 64
    terms = PrivacyTerms("none", "user", "add_or_remove_one", 0.1, None, None)
    manifest = ManifestFields(RUN, 1, 1, digest, digest, 7, 0.1, 2, 2, 0, 32, 1, digest, None, digest)
    advert = RecordedAdvert(DE, digest, digest, digest, signature)
    return (
        RunOpened(RUN, digest, '{"a":"é"}', {US: digest, DE: digest}, key.public, "0.1.0", digest, 7, terms),
        RoundOpened(1, 1, manifest, signature, (DE, US)),
        CohortFixed(1, 1, digest, (advert,)),
        SurvivorsFixed(1, 1, digest, (DE,), {US: "timed_out"}),
        RoundAborted(1, 1, "too_few_survivors", "1 of 2 survived.", False),
        RoundReleased(
            round=1,
            attempt=2,
            session=digest,
            survivors=(DE, US),
            consistency_signatures=(RecordedSignature(DE, signature),),
            total_hash=digest,
            model_in=digest,
            model_out=digest,
            optimiser_state=digest,
            validation=0.25,
            privacy_event=None,
        ),
        SketchReleased(0, 1, digest, (DE, US), (RecordedSignature(DE, signature),), digest, digest),
        CoordinatorRestarted(1, 2),
        RunAborted(1, "bad_sum"),
        RunCompleted(1, digest),
        UnmaskingBegun(1, 1, digest),
        NodeConvicted(1, 1, digest, US, "misdealt_shares", digest),
    )


def _signed(bodies: Sequence[Body], key: SigningKey) -> tuple[list[Entry], Log]:
    entries, log = [], genesis(RUN)
    for body in bodies:
        entry, log = append(log, body, key)
        entries.append(entry)
    return entries, log


@pytest.fixture
def entries(bodies: tuple[Body, ...], key: SigningKey) -> list[Entry]:
    return _signed(bodies, key)[0]


@pytest.fixture
def log(bodies: tuple[Body, ...], key: SigningKey) -> Log:
    return _signed(bodies, key)[1]
