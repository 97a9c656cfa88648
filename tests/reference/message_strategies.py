"""Hypothesis strategies for every message a node and the coordinator exchange."""

from typing import Any

from hypothesis import strategies as st

from fecosr.crypto.shamir import SHARE_BYTES
from fecosr.federation.messages import (
    CoordinatorMessage,
    Finished,
    FromClient,
    FromServer,
    HeadSigned,
    Hello,
    MetricShared,
    NodeMessage,
    Outcome,
    Rejected,
    Release,
    RoundClosed,
    RoundManifest,
    RoundTask,
    RunClosed,
    SketchRelease,
)
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import Checkpoint, Growth
from fecosr.secagg.messages import (
    AdvertList,
    ConsistencyProof,
    ConsistencySignature,
    DeliveredShares,
    EncryptedShares,
    KeyAdvert,
    SealedShares,
    ShareDelivery,
    SurvivorList,
    UnmaskShares,
    Withdrawal,
)
from fecosr.secagg.packing import RING_BITS
from fecosr.secagg.shares import CIPHERTEXT_BYTES

NODE_NAMES = [NodeId(name) for name in ("at", "br", "de", "fr", "jp-2", "mx", "uk", "us")]


def _bytes(size_bytes: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size_bytes, max_size=size_bytes)


names = st.sampled_from(NODE_NAMES)
runs = st.sampled_from([RunId("first-light"), RunId("r1")])
hashes = _bytes(32)
signatures = _bytes(64)
counters = st.integers(1, 2**32 - 1)
rounds = st.integers(0, 2**32 - 1)
reasons = st.text(min_size=1, max_size=40)


def by_name(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[NodeId, Any]]:
    """Return mappings of 1 or more nodes to `values`."""
    return st.dictionaries(names, values, min_size=1)


key_adverts = st.builds(KeyAdvert, names, hashes, hashes, hashes, signatures)
sealed_shares = st.builds(SealedShares, _bytes(CIPHERTEXT_BYTES), hashes, hashes)
delivered_shares = st.builds(
    DeliveredShares, sealed_shares, st.lists(hashes, max_size=10).map(tuple), signatures
)
consistency_signatures = st.builds(ConsistencySignature, names, signatures)


@st.composite
def unmask_shares(draw: st.DrawFn) -> UnmaskShares:
    """Draw shares that never reveal both kinds of one peer."""
    shares = draw(by_name(st.tuples(st.booleans(), _bytes(SHARE_BYTES))))
    return UnmaskShares(
        {peer: share for peer, (survived, share) in shares.items() if survived},
        {peer: share for peer, (survived, share) in shares.items() if not survived},
        draw(signatures),
    )


client_messages = st.one_of(
    key_adverts,
    st.builds(EncryptedShares, by_name(sealed_shares), signatures),
    consistency_signatures,
    unmask_shares(),
    st.builds(Withdrawal, reasons, st.none() | names),
)

server_messages = st.one_of(
    st.lists(key_adverts, min_size=1, unique_by=lambda advert: advert.client).map(
        lambda adverts: AdvertList(tuple(sorted(adverts, key=lambda advert: advert.client)))
    ),
    st.builds(ShareDelivery, by_name(delivered_shares)),
    st.sets(names, min_size=1).map(lambda survivors: SurvivorList(tuple(sorted(survivors)))),
    st.lists(consistency_signatures, min_size=1, unique_by=lambda signature: signature.client).map(
        lambda signatures: ConsistencyProof(tuple(signatures))
    ),
)

manifests = st.builds(
    RoundManifest,
    run=runs,
    round=rounds,
    attempt=counters,
    plan_hash=hashes,
    model_hash=hashes,
    num_parameters=st.integers(1, 2**63),
    clip_norm=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    num_summands=counters,
    n_min=counters,
    max_colluding=st.integers(0, 2**32 - 1),
    ring_bits=st.sampled_from(RING_BITS),
    sketch_hash=st.none() | hashes,
    ledger_size=st.integers(1, 2**63),
    ledger_root=hashes,
)
releases = st.builds(Release, hashes, st.none() | st.floats(0, 1))
checkpoints = st.builds(Checkpoint, runs, st.integers(1, 2**63), hashes, signatures)
proofs = st.lists(hashes, max_size=4).map(tuple)
growths = st.builds(Growth, checkpoints, st.integers(0, 2**63), proofs)
heads_signed = st.builds(HeadSigned, st.integers(1, 2**63), hashes, signatures)

node_messages: st.SearchStrategy[NodeMessage] = st.one_of(
    st.builds(Hello, runs, hashes, st.text(min_size=1, max_size=16), st.none() | heads_signed),
    heads_signed,
    st.builds(FromClient, rounds, counters, client_messages),
    st.builds(Finished, hashes),
    st.builds(MetricShared, counters, counters, st.floats(0, 1)),
)

coordinator_messages: st.SearchStrategy[CoordinatorMessage] = st.one_of(
    st.builds(RoundTask, manifests, signatures, growths),
    st.builds(FromServer, rounds, counters, server_messages),
    st.builds(
        RoundClosed,
        rounds,
        counters,
        st.just(Outcome.RELEASED),
        st.just(""),
        releases | st.builds(SketchRelease, hashes),
        growths,
    ),
    st.builds(RoundClosed, rounds, counters, st.just(Outcome.ABORTED), reasons, st.none(), growths),
    st.builds(
        RunClosed,
        runs,
        st.integers(0, 2**32 - 1),
        hashes,
        st.lists(releases, max_size=4).map(tuple),
        signatures,
        proofs,
        growths,
        signatures,
        st.none() | hashes,
    ),
    st.builds(Rejected, reasons),
)
