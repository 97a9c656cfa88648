from dataclasses import replace

from fecosr.ids import NodeId
from fecosr.secagg.messages import ConsistencySignature, Phase, UnmaskShares
from fecosr.secagg.rules import Rule
from fecosr.secagg.statements import survivors_statement
from tests.reference.rehearsal import (
    ME,
    NAMES,
    Rehearsal,
    assert_server_refuses,
    identity_of,
)

AT = NodeId("at")


def test_a_wrong_consistency_signature_is_refused(play: Rehearsal) -> None:
    phase = Phase.CONSISTENCY
    theirs = play.said[phase][AT]
    session = play.session
    assert_server_refuses(play, phase, theirs, Rule.WRONG_NAME)
    for statement in (
        survivors_statement(session, NAMES[:4]),
        survivors_statement(bytes(32), NAMES[:5]),
    ):
        wrong = ConsistencySignature(ME, identity_of(ME).sign(statement))
        assert_server_refuses(play, phase, wrong, Rule.BAD_SURVIVORS_SIGNATURE)
    assert_server_refuses(play, phase, ConsistencySignature(ME, b""), Rule.BAD_SURVIVORS_SIGNATURE)


def test_shares_of_the_wrong_clients_are_refused(play_with_dropout: Rehearsal) -> None:
    phase, cz = Phase.UNMASK, NodeId("cz")
    said = play_with_dropout.said[phase][ME]
    assert isinstance(said, UnmaskShares)
    share = bytes(33)
    both = replace(said, mask_key_shares={**said.mask_key_shares, AT: share})
    neither = replace(said, mask_key_shares={})
    dead_and_alive = replace(said, seed_shares={**said.seed_shares, cz: share})
    for wrong in (both, neither, dead_and_alive, UnmaskShares({}, {}, said.signature)):
        assert_server_refuses(play_with_dropout, phase, wrong, Rule.WRONG_SHARES)
    for size in (0, 32, 34):
        malformed = replace(said, mask_key_shares={cz: bytes(size)})
        assert_server_refuses(play_with_dropout, phase, malformed, Rule.MALFORMED_SHARE)
    for signature in (b"", bytes(64), identity_of(ME).sign(b"something else")):
        unsigned = replace(said, signature=signature)
        assert_server_refuses(play_with_dropout, phase, unsigned, Rule.BAD_REVEAL_SIGNATURE)
    other = replace(said, seed_shares={**said.seed_shares, AT: share})
    assert_server_refuses(play_with_dropout, phase, other, Rule.BAD_REVEAL_SIGNATURE)
