"""Lies a coordinator can tell a market node, each with the rule by which an honest node notices it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from fecosr.crypto.signatures import SigningKey
from fecosr.federation.messages import CoordinatorMessage, FromServer, RoundTask
from fecosr.ids import NodeId
from fecosr.secagg.messages import (
    AdvertList,
    ConsistencyProof,
    KeyAdvert,
    ServerMessage,
    ShareDelivery,
    SurvivorList,
)
from fecosr.secagg.rules import Rule
from fecosr.secagg.statements import signed_advert


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Hold what a liar needs.

    Attributes:
        key: its own.
        accomplice: a node other than the victim.
        accomplice_key: the identity of that node, which plays along where the lie takes one.
        victim: who is lied to.
        victim_n_min: how many the victim wants in a cohort.
    """

    key: SigningKey = field(repr=False)
    accomplice: NodeId
    accomplice_key: SigningKey = field(repr=False)
    victim: NodeId
    victim_n_min: int


Tell = Callable[[Knowledge, CoordinatorMessage], list[CoordinatorMessage]]
TellInSession = Callable[[Knowledge, ServerMessage], list[ServerMessage]]


@dataclass(frozen=True, slots=True)
class Lie:
    """Pair a lie with the rule it breaks.

    Attributes:
        tell: returns what the victim is sent in place of a message.
        rule: what an honest node says was broken.
    """

    tell: Tell
    rule: str


def _in_session(tell: TellInSession) -> Tell:
    """Return the lie that replaces messages of the secure aggregation."""

    def lie(known: Knowledge, message: CoordinatorMessage) -> list[CoordinatorMessage]:
        if not isinstance(message, FromServer):
            return [message]
        return [replace(message, body=body) for body in tell(known, message.body)]

    return lie


def _with_advert(adverts: tuple[KeyAdvert, ...], changed: KeyAdvert) -> AdvertList:
    return AdvertList(tuple(changed if it.client == changed.client else it for it in adverts))


def _accomplices_advert(known: Knowledge, adverts: tuple[KeyAdvert, ...]) -> KeyAdvert:
    return next(it for it in adverts if it.client == known.accomplice)


def _another_model(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Show the advert of a node that was told of another model, and signed for that."""
    if not isinstance(body, AdvertList):
        return [body]
    it = _accomplices_advert(known, body.adverts)
    keys = (it.channel_public, it.mask_public)
    elsewhere = signed_advert(bytes(32), known.accomplice, known.accomplice_key, keys, it.seed_commitment)
    return [_with_advert(body.adverts, elsewhere)]


def _substituted_key(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Put a key of the coordinator's own in the place of another node's."""
    if not isinstance(body, AdvertList):
        return [body]
    advert = replace(_accomplices_advert(known, body.adverts), mask_public=known.key.public)
    return [_with_advert(body.adverts, advert)]


def _invented_node(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Make the cohort look larger by a node of the coordinator's own making."""
    if not isinstance(body, AdvertList):
        return [body]
    it = _accomplices_advert(known, body.adverts)
    keys = (it.mask_public, it.channel_public)
    invented = signed_advert(bytes(32), NodeId("zz-stranger"), known.key, keys, it.seed_commitment)
    return [AdvertList((*body.adverts, invented))]


def _shrunken_cohort(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Leave the victim with fewer others than were agreed on."""
    if not isinstance(body, AdvertList):
        return [body]
    kept = [it for it in body.adverts if it.client == known.victim]
    others = [it for it in body.adverts if it.client != known.victim]
    return [AdvertList((*kept, *others)[: known.victim_n_min - 1])]


def _shares_of_a_stranger(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Deliver shares in the name of somebody outside the cohort."""
    if not isinstance(body, ShareDelivery):
        return [body]
    return [ShareDelivery({**body.shares, NodeId("stranger"): body.shares[known.accomplice]})]


def _changed_share(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Change a sealed share on its way."""
    if not isinstance(body, ShareDelivery):
        return [body]
    delivered = body.shares[known.accomplice]
    flipped = bytes([delivered.sealed.ciphertext[0] ^ 1]) + delivered.sealed.ciphertext[1:]
    sealed = replace(delivered.sealed, ciphertext=flipped)
    return [ShareDelivery({**body.shares, known.accomplice: replace(delivered, sealed=sealed)})]


def _changed_commitment(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Change what a dealer committed to, so that the victim complains of it."""
    if not isinstance(body, ShareDelivery):
        return [body]
    delivered = body.shares[known.accomplice]
    sealed = replace(delivered.sealed, seed_share_commitment=bytes(32))
    return [ShareDelivery({**body.shares, known.accomplice: replace(delivered, sealed=sealed)})]


def _survivors_without_the_victim(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Call a node dropped whose vector is in the sum, to be told its mask key."""
    if not isinstance(body, SurvivorList):
        return [body]
    return [SurvivorList(tuple(name for name in body.survivors if name != known.victim))]


def _sum_of_one(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Call everybody dropped but the victim, whose vector would then be the sum."""
    return [SurvivorList((known.victim,)) if isinstance(body, SurvivorList) else body]


def _second_survivor_list(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Have a second list signed after the first."""
    if not isinstance(body, ConsistencyProof):
        return [body]
    everybody = tuple(signed.client for signed in body.signatures)
    return [SurvivorList(tuple(name for name in everybody if name != known.accomplice)), body]


def _proof_without_a_quorum(known: Knowledge, body: ServerMessage) -> list[ServerMessage]:
    """Ask for the shares before enough have signed."""
    del known
    return [ConsistencyProof(body.signatures[:1]) if isinstance(body, ConsistencyProof) else body]


def _weaker_rules(known: Knowledge, message: CoordinatorMessage) -> list[CoordinatorMessage]:
    """Lower n_min below the plan, properly signed."""
    if not isinstance(message, RoundTask):
        return [message]
    manifest = replace(message.manifest, n_min=message.manifest.n_min - 1, max_colluding=0)
    return [replace(message, manifest=manifest, signature=known.key.sign(manifest.signed_bytes()))]


def _replayed_task(known: Knowledge, message: CoordinatorMessage) -> list[CoordinatorMessage]:
    """Come back to an attempt after a later one was asked for."""
    if not isinstance(message, RoundTask):
        return [message]
    later = replace(message.manifest, attempt=message.manifest.attempt + 1)
    return [replace(message, manifest=later, signature=known.key.sign(later.signed_bytes())), message]


def _forged_task(known: Knowledge, message: CoordinatorMessage) -> list[CoordinatorMessage]:
    """Sign the task with another key than the pinned one."""
    if not isinstance(message, RoundTask):
        return [message]
    return [replace(message, signature=known.accomplice_key.sign(message.manifest.signed_bytes()))]


LIES: Final[Mapping[str, Lie]] = {
    "another_model": Lie(_in_session(_another_model), Rule.BAD_ADVERT),
    "substituted_key": Lie(_in_session(_substituted_key), Rule.BAD_ADVERT),
    "invented_node": Lie(
        _in_session(_invented_node), "zz-stranger takes part without being invited to the round"
    ),
    "shrunken_cohort": Lie(_in_session(_shrunken_cohort), Rule.COHORT_TOO_SMALL),
    "shares_of_a_stranger": Lie(_in_session(_shares_of_a_stranger), Rule.UNKNOWN_SOURCE),
    "changed_share": Lie(_in_session(_changed_share), Rule.BAD_DEAL),
    "changed_commitment": Lie(_in_session(_changed_commitment), Rule.BAD_DEAL),
    "alive_and_dropped": Lie(_in_session(_survivors_without_the_victim), Rule.NOT_A_SURVIVOR),
    "sum_of_one": Lie(_in_session(_sum_of_one), Rule.TOO_FEW_SURVIVORS),
    "two_survivor_lists": Lie(_in_session(_second_survivor_list), Rule.EQUIVOCATION),
    "no_quorum": Lie(_in_session(_proof_without_a_quorum), Rule.PROOF_TOO_SMALL),
    "weaker_rules": Lie(_weaker_rules, "n_min differs from the plan"),
    "replayed_task": Lie(_replayed_task, "the attempt is not newer than the last"),
    "forged_task": Lie(_forged_task, "the signature is not the pinned coordinator's"),
}
"""Every lie by its name in a scenario."""
