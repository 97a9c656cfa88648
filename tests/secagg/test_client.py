from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fecosr.crypto.signatures import verify
from fecosr.errors import MisuseError
from fecosr.ids import NodeId
from fecosr.secagg.client import (
    AwaitingProof,
    Revealed,
    RunningClient,
    SharesRevealed,
    SurvivorsSigned,
    Withdrawn,
    begin,
)
from fecosr.secagg.dealing import dealt_leaf, receipt_hash
from fecosr.secagg.messages import (
    AdvertList,
    DeliveredShares,
    EncryptedShares,
    KeyAdvert,
    MaskedInput,
    Phase,
    ShareDelivery,
    SurvivorList,
    UnmaskShares,
    Withdrawal,
)
from fecosr.secagg.rules import Rule
from fecosr.secagg.secrets import derive_secrets
from fecosr.secagg.shares import Route, SharePair
from fecosr.secagg.statements import masked_input_statement, vector_digest
from tests.reference.masks import masked_elements
from tests.reference.object_graph import reachable
from tests.reference.rehearsal import (
    CONTEXT,
    ME,
    NAMES,
    Rehearsal,
    assert_client_refuses,
    identity_of,
    rehearse,
    told_in,
    vector_of,
)

LOW_ORDER = b"\1" + bytes(31)


def shares_told(play: Rehearsal) -> dict[NodeId, DeliveredShares]:
    return dict(told_in(play, Phase.SHARE_KEYS, ShareDelivery).shares)


# What an honest client says.


def test_the_vector_is_masked_for_exactly_those_whose_shares_came(play: Rehearsal) -> None:
    someone = next(person for person in play.participants if person.client == ME)
    secrets = derive_secrets(someone.entropy, CONTEXT, ME)
    state = play.clients[Phase.SHARE_KEYS][ME]
    shares = shares_told(play)
    del shares[NodeId("at")]
    (said,) = state.receive(ShareDelivery(shares)).outbox
    assert isinstance(said, MaskedInput)
    publics = {
        advert.client: advert.mask_public
        for advert in told_in(play, Phase.ADVERTISE_KEYS, AdvertList).adverts
    }
    peers = {peer: publics[peer] for peer in shares}
    session = play.session
    expected = masked_elements(
        someone.vector.tolist(), (secrets.seed, secrets.mask_key.secret), peers, session, ME
    )
    assert said.vector.tolist() == expected
    assert said.unusable == ()
    leaves = {
        peer: dealt_leaf(Route(session, peer, ME), delivered.sealed) for peer, delivered in shares.items()
    }
    receipt = receipt_hash(session, ME, leaves, ())
    statement = masked_input_statement(session, ME, vector_digest(said.vector), receipt)
    verify(identity_of(ME).public, said.signature, statement)


def test_shares_are_dealt_to_every_holder_oneself_included(play: Rehearsal) -> None:
    said = play.said[Phase.SHARE_KEYS][ME]
    assert isinstance(said, EncryptedShares)
    assert list(said.sealed) == list(NAMES[:5])


def test_seed_shares_of_survivors_and_key_shares_of_dropouts_are_revealed(
    play_with_dropout: Rehearsal,
) -> None:
    said = play_with_dropout.said[Phase.UNMASK][ME]
    assert isinstance(said, UnmaskShares)
    assert set(said.seed_shares) == {"at", "be", "de", "es", "fr"}
    assert set(said.mask_key_shares) == {"cz"}


def test_signing_and_revealing_are_recorded_before_anything_is_sent(play: Rehearsal) -> None:
    survivors = NAMES[:5]
    signing = play.clients[Phase.MASKED_INPUT][ME].receive(play.told[Phase.MASKED_INPUT][ME])
    revealing = play.clients[Phase.CONSISTENCY][ME].receive(play.told[Phase.CONSISTENCY][ME])
    assert isinstance(signing.state, AwaitingProof)
    session = signing.state.cohort.session
    assert signing.records == (SurvivorsSigned(session, survivors),)
    assert revealing.records == (SharesRevealed(session, survivors),)
    assert revealing.state == Revealed(session, survivors)


def test_nothing_is_said_after_the_end() -> None:
    for terminal in (Revealed, Withdrawn):
        assert not hasattr(terminal, "receive")
        assert not hasattr(terminal, "withdraw")


@pytest.mark.parametrize("phase", list(Phase)[:-1])
def test_a_client_can_withdraw_from_every_state(play: Rehearsal, phase: Phase) -> None:
    left = play.clients[phase][ME].withdraw("not today")
    assert left.state == Withdrawn("not today")
    assert left.outbox == (Withdrawal("not today"),)
    assert not left.records


def test_the_same_entropy_says_the_same(play: Rehearsal) -> None:
    again = rehearse(5)
    assert again.said[Phase.ADVERTISE_KEYS] == play.said[Phase.ADVERTISE_KEYS]
    assert again.said[Phase.SHARE_KEYS] == play.said[Phase.SHARE_KEYS]


def test_keys_are_fresh_in_every_context(play: Rehearsal) -> None:
    other = rehearse(5, context=b"\xc1" * 32)
    one, two = play.said[Phase.ADVERTISE_KEYS][ME], other.said[Phase.ADVERTISE_KEYS][ME]
    assert isinstance(one, KeyAdvert)
    assert isinstance(two, KeyAdvert)
    assert one.channel_public != two.channel_public
    assert one.mask_public != two.mask_public
    assert one.seed_commitment != two.seed_commitment


# What a client keeps to itself.


def states_of(play: Rehearsal, client: NodeId) -> list[RunningClient]:
    return [play.clients[phase][client] for phase in list(Phase)[:-1]]


def test_no_state_ever_shows_a_secret(play: Rehearsal) -> None:
    someone = next(person for person in play.participants if person.client == ME)
    secrets = derive_secrets(someone.entropy, CONTEXT, ME)
    hidden = [
        someone.entropy,
        someone.identity.seed,
        secrets.seed,
        secrets.channel_key.secret,
        secrets.mask_key.secret,
        secrets.seed_sharing,
        secrets.mask_key_sharing,
    ]
    for state in states_of(play, ME):
        shown = repr(state)
        pairs = [item for item in reachable(state) if isinstance(item, SharePair)]
        shares = [share for pair in pairs for share in (pair.seed_share, pair.mask_key_share)]
        for secret in hidden + shares:
            assert secret.hex() not in shown
            assert repr(secret) not in shown
        assert str(int(someone.vector[0])) not in shown


def test_once_masked_the_vector_and_once_signed_the_other_shares_are_gone(
    play_with_dropout: Rehearsal,
) -> None:
    vector = vector_of(play_with_dropout.participants, ME)
    secrets = derive_secrets(b"be".ljust(32, b"!"), CONTEXT, ME)
    dealt = play_with_dropout.clients[Phase.SHARE_KEYS][ME]
    masked, signed = (play_with_dropout.clients[p][ME] for p in (Phase.MASKED_INPUT, Phase.CONSISTENCY))
    assert any(item is vector for item in reachable(dealt))
    for state in (masked, signed):
        assert not any(isinstance(item, np.ndarray) for item in reachable(state))
        assert not any(isinstance(item, bytes) and item == secrets.seed for item in reachable(state))
    assert any(isinstance(item, SharePair) for item in reachable(masked))
    assert not any(isinstance(item, SharePair) for item in reachable(signed))


# What a client does not believe or do.


def test_shares_that_their_dealer_did_not_sign_name_the_server(play: Rehearsal) -> None:
    shares = shares_told(play)
    at, cz = NodeId("at"), NodeId("cz")
    flipped = bytes([shares[cz].sealed.ciphertext[0] ^ 1]) + shares[cz].sealed.ciphertext[1:]
    path = shares[cz].path
    for wrong in (
        replace(shares[cz], sealed=replace(shares[cz].sealed, ciphertext=flipped)),
        replace(shares[cz], sealed=replace(shares[cz].sealed, seed_share_commitment=bytes(32))),
        replace(shares[cz], sealed=replace(shares[cz].sealed, mask_key_share_commitment=bytes(32))),
        replace(shares[cz], signature=shares[at].signature),
        replace(shares[cz], path=path[:-1]),
        replace(shares[cz], path=(*path, bytes(32))),
        replace(shares[cz], path=path[::-1]),
    ):
        told = ShareDelivery({**shares, cz: wrong})
        assert_client_refuses(play, Phase.SHARE_KEYS, told, Rule.BAD_DEAL)
    swapped = ShareDelivery({**shares, at: shares[cz], cz: shares[at]})
    assert_client_refuses(play, Phase.SHARE_KEYS, swapped, Rule.BAD_DEAL)


def test_shares_dealt_to_another_are_refused(play: Rehearsal) -> None:
    theirs = play.told[Phase.SHARE_KEYS][NodeId("de")]
    assert isinstance(theirs, ShareDelivery)
    at = NodeId("at")
    told = ShareDelivery({**shares_told(play), at: theirs.shares[at]})
    assert_client_refuses(play, Phase.SHARE_KEYS, told, Rule.BAD_DEAL)


def test_shares_replayed_from_another_session_are_refused(play: Rehearsal) -> None:
    # The same clients with the same entropy, so the same keys, but one client fewer: another session.
    other = rehearse(4)
    replayed = other.told[Phase.SHARE_KEYS][ME]
    assert isinstance(replayed, ShareDelivery)
    told = ShareDelivery({**shares_told(play), **replayed.shares})
    assert_client_refuses(play, Phase.SHARE_KEYS, told, Rule.BAD_DEAL)


def test_a_second_survivor_list_is_never_signed(play: Rehearsal) -> None:
    told = told_in(play, Phase.MASKED_INPUT, SurvivorList)
    other = SurvivorList(told.survivors[:4])
    assert_client_refuses(play, Phase.CONSISTENCY, other, Rule.EQUIVOCATION)
    assert_client_refuses(play, Phase.CONSISTENCY, told, Rule.LATE)


@pytest.mark.parametrize("phase", list(Phase)[:-1])
def test_messages_of_other_phases_are_refused_by_name(play: Rehearsal, phase: Phase) -> None:
    order = list(Phase)
    for other in order[:-1]:
        if other is not phase:
            late = order.index(other) < order.index(phase)
            assert_client_refuses(play, phase, play.told[other][ME], Rule.LATE if late else Rule.EARLY)


def test_misuse_is_refused(play: Rehearsal) -> None:
    someone = play.participants[1]
    wrong_vectors: list[Any] = [
        someone.vector[:-1],
        someone.vector.astype(np.int64),
        someone.vector.reshape(2, 3),
    ]
    for vector in wrong_vectors:
        with pytest.raises(MisuseError):
            begin(play.parameters, ME, someone.identity, play.roster, vector, bytes(32))
    with pytest.raises(MisuseError):
        begin(play.parameters, ME, someone.identity, play.roster, someone.vector, bytes(16))
    with pytest.raises(MisuseError):
        begin(play.parameters, ME, identity_of(NodeId("at")), play.roster, someone.vector, bytes(32))
    with pytest.raises(MisuseError):
        begin(play.parameters, NodeId("zz"), someone.identity, play.roster, someone.vector, bytes(32))
