"""Honest material to start from: a session, messages as bytes, a small ledger and a checkpoint."""

from functools import cache

from fecosr.crypto.signatures import SigningKey
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
)
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import Growth, sign_checkpoint
from fecosr.ledger.countersignature import KeptHead, countersign
from fecosr.ledger.log import Head, append, encode_entry, genesis
from fecosr.ledger.records import (
    Body,
    CoordinatorRestarted,
    PrivacyTerms,
    RoundAborted,
    RunAborted,
    RunOpened,
    SurvivorsFixed,
    UnmaskingBegun,
)
from fecosr.secagg.messages import MaskedInput, Phase, Withdrawal
from fecosr.wire.control import encode_coordinator_message, encode_node_message
from tests.reference.rehearsal import Rehearsal, rehearse

RUN = RunId("spring")
KEY = SigningKey(b"the coordinator of all fuzz runs")
MARKET, MARKET_KEY = NodeId("at"), SigningKey(b"the first market of all fuzz run")
_MANIFEST = RoundManifest(RUN, 1, 1, bytes(32), bytes(32), 7, 1.5, 5, 3, 1, 24, 1, bytes(32))


def _leaves(client: NodeId, phase: Phase) -> bool:
    return (client, phase) == ("es", Phase.MASKED_INPUT)


@cache
def session(ring_bits: int = 32) -> Rehearsal:
    """Return an honest session of six from which one leaves before its vector arrives."""
    return rehearse(6, leaves=_leaves, ring_bits=ring_bits)


@cache
def node_messages() -> tuple[bytes, ...]:
    """Return one message of every kind a node sends, as bytes."""
    said = [next(iter(answers.values())) for answers in session().said.values()]
    bodies = [body for body in said if not isinstance(body, MaskedInput)]
    signature = bytes(64)
    messages: list[NodeMessage] = [
        Hello(RUN, bytes(32), "1.0", None),
        Hello(RUN, bytes(32), "1.0", HeadSigned(7, bytes(32), signature)),
        HeadSigned(7, bytes(32), signature),
        Finished(bytes(32)),
        MetricShared(1, 1, 0.25),
        FromClient(1, 1, Withdrawal("late", NodeId("at"))),
        *(FromClient(1, 1, body) for body in bodies),
    ]
    return tuple(map(encode_node_message, messages))


@cache
def coordinator_messages() -> tuple[bytes, ...]:
    """Return one message of every kind the coordinator sends, as bytes."""
    bodies = [next(iter(told.values())) for told in session().told.values() if told]
    signature = bytes(64)
    messages: list[CoordinatorMessage] = [
        RoundTask(_MANIFEST, signature, growth()),
        RoundClosed(1, 1, Outcome.RELEASED, "", Release(bytes(32), 0.25), growth()),
        RoundClosed(1, 1, Outcome.ABORTED, "too_few_inputs", None, growth()),
        RunClosed(
            RUN, 1, bytes(32), (Release(bytes(32), None),), signature, (bytes(32),), growth(), signature
        ),
        Rejected("another plan"),
        *(FromServer(1, 1, body) for body in bodies),
    ]
    return tuple(map(encode_coordinator_message, messages))


@cache
def ledger_lines() -> tuple[bytes, ...]:
    """Return the lines of a small ledger."""
    roster = {NodeId(name): bytes([i]) * 32 for i, name in enumerate(("at", "be", "cz"))}
    terms = PrivacyTerms("none", "user", "add_or_remove_one", 1.5, None, None)
    opened = RunOpened(RUN, bytes(32), "{}", roster, KEY.public, "1.0", bytes(32), 7, terms)
    bodies: list[Body] = [
        opened,
        SurvivorsFixed(1, 1, bytes(32), tuple(roster), {NodeId("de"): "deadline"}),
        UnmaskingBegun(1, 1, bytes(32)),
        CoordinatorRestarted(1, 1),
        RoundAborted(1, 1, "coordinator_restarted", "it came back", unmasked=True),
        RunAborted(0, "coordinator_restarted"),
    ]
    log, lines = genesis(RUN), []
    for body in bodies:
        entry, log = append(log, body, KEY)
        lines.append(encode_entry(entry))
    return tuple(lines)


@cache
def kept_head() -> KeptHead:
    """Return the head of an empty ledger, signed by coordinator and market."""
    return countersign(sign_checkpoint(genesis(RUN).head, KEY), MARKET, MARKET_KEY)


@cache
def growth() -> Growth:
    """Return a head with a proof of the right shape."""
    checkpoint = sign_checkpoint(Head(RUN, 3, bytes(32)), KEY)
    return Growth(checkpoint, 2, (bytes(32), bytes(32)))
