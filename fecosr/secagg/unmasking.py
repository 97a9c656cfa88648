"""Open the survivors' seeds and the dropouts' mask keys, and take their masks out of the sum."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Final

from fecosr.crypto.key_agreement import PrivateKey
from fecosr.crypto.prg import add_keystreams
from fecosr.crypto.shamir import combine, interpolate, lagrange_weights
from fecosr.errors import CryptoError
from fecosr.ids import NodeId
from fecosr.secagg.cohort import Cohort
from fecosr.secagg.dealing import (
    Deal,
    Receipt,
    RevealedCommitments,
    committed,
    delivered_leaves,
    revealed_commitments,
)
from fecosr.secagg.evidence import ChangedShare, Conviction, Disclosed, MisdealtShares, check_opened
from fecosr.secagg.masking import Vector, dropout_mask_removals, self_mask_removals
from fecosr.secagg.messages import UnmaskShares
from fecosr.secagg.shares import Secret

MAX_QUORUMS: Final = 1000
"""How many sets of share holders are tried for one secret before it is given up."""

Quorum = tuple[NodeId, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Hold all that is known about the shares when the sum is to be opened.

    Attributes:
        cohort: the session.
        deals: what each client dealt.
        receipts: what each holder said about what it was dealt.
        reveals: what each holder that answered revealed, of exactly those whose shares it had accepted.
    """

    cohort: Cohort
    deals: Mapping[NodeId, Deal]
    receipts: Mapping[NodeId, Receipt]
    reveals: Mapping[NodeId, UnmaskShares] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """Hold every secret the sum still hides behind, whose stay closed, and who was convicted on the way."""

    seeds: Mapping[NodeId, bytes] = field(repr=False)
    mask_keys: Mapping[NodeId, PrivateKey] = field(repr=False)
    closed: tuple[NodeId, ...]
    convictions: tuple[Conviction, ...]


def open_secrets(answers: Answers) -> Opened:
    """Reconstruct every survivor's seed and every dropout's mask key from what the clients revealed.

    A share that is not the one its holder accepted convicts the holder and is left out. What is opened with
    the others is compared with the advert its owner signed: a wrong share can stop a session, never bend its
    sum.
    """
    changed, revealed = _sorted_out(answers)
    opener = _Opener(answers)
    seeds: dict[NodeId, bytes] = {}
    mask_keys: dict[NodeId, PrivateKey] = {}
    closed: list[NodeId] = []
    for (owner, secret), shares in sorted(revealed.items(), key=lambda item: item[0]):
        opened = opener.open(owner, secret, shares)
        if opened is None:
            closed.append(owner)
        elif secret is Secret.SEED:
            seeds[owner] = opened
        else:
            mask_keys[owner] = PrivateKey(opened)
    return Opened(seeds, mask_keys, tuple(closed), (*changed, *opener.convictions))


Revealed = Mapping[tuple[NodeId, Secret], Mapping[NodeId, bytes]]
"""For each owner and secret the shares that are the ones committed to, by holder, in order."""


def _sorted_out(answers: Answers) -> tuple[tuple[ChangedShare, ...], Revealed]:
    """Part the shares that are not those their holders accepted from those that are."""
    changed: list[ChangedShare] = []
    good: dict[tuple[NodeId, Secret], dict[NodeId, bytes]] = {}
    for holder, reveal in sorted(answers.reveals.items()):
        commitments = revealed_commitments(answers.cohort.session, holder, reveal)
        for owner, (secret, commitment) in commitments.items():
            shares = good.setdefault((owner, secret), {})
            if commitment != committed(answers.deals[owner].message.sealed[holder], secret):
                changed.append(_changed(answers, holder, owner, commitments))
                continue
            kind = reveal.seed_shares if secret is Secret.SEED else reveal.mask_key_shares
            shares[holder] = kind[owner]
    return tuple(changed), good


def _changed(
    answers: Answers, holder: NodeId, owner: NodeId, commitments: RevealedCommitments
) -> ChangedShare:
    is_own = holder == owner
    return ChangedShare(
        culprit=holder,
        owner=owner,
        secret=commitments[owner][0],
        dealt=answers.deals[owner].delivered_to(holder),
        leaves={} if is_own else delivered_leaves(answers.deals, holder),
        receipt=None if is_own else answers.receipts[holder],
        revealed=commitments,
        signature=answers.reveals[holder].signature,
    )


def unmask(total: Vector, cohort: Cohort, opened: Opened) -> None:
    """Take all masks out of the sum, in place: the survivors' own, and those they made with dropouts."""
    removals = [self_mask_removals(opened.seeds.values(), cohort.session)]
    for dropout, key in opened.mask_keys.items():
        peers = (peer for peer in cohort.graph.neighbours(dropout) if peer in opened.seeds)
        publics = cohort.mask_publics(peers)
        removals.append(dropout_mask_removals(key, dropout, publics, cohort.session))
    add_keystreams(total, chain(*removals))


class _Opener:
    """Open one secret after another, remembering the weights of each quorum and who dealt wrong shares."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._cohort = answers.cohort
        self._weights: dict[tuple[tuple[int, ...], int], tuple[int, ...]] = {}
        self.convictions: list[MisdealtShares] = []

    def open(self, owner: NodeId, secret: Secret, shares: Mapping[NodeId, bytes]) -> bytes | None:
        """Return the secret that a quorum opens; None where none does.

        All the shares are those the owner committed to, so where they disagree it is the owner that is wrong.
        """
        positions = self._cohort.graph.positions(owner)
        for quorum in self._quorums(tuple(shares)):
            points = tuple(positions[holder] for holder in quorum)
            agreed = [shares[holder] for holder in quorum]
            try:
                opened = combine(self._weights_of(points, 0), agreed)
                check_opened(self._cohort.parameters.context, self._cohort.adverts[owner], secret, opened)
            except CryptoError:
                continue
            others = shares.keys() - frozenset(quorum)
            if any(
                interpolate(self._weights_of(points, positions[holder]), agreed) != shares[holder]
                for holder in others
            ):
                self._convict(owner, secret, shares)
            return opened
        if len(shares) >= self._cohort.graph.threshold:
            self._convict(owner, secret, shares)
        return None

    def _convict(self, owner: NodeId, secret: Secret, shares: Mapping[NodeId, bytes]) -> None:
        deal = self._answers.deals[owner]
        disclosed = {holder: Disclosed(share, deal.delivered_to(holder)) for holder, share in shares.items()}
        self.convictions.append(MisdealtShares(owner, secret, disclosed))

    def _quorums(self, holders: Quorum) -> Iterator[Quorum]:
        """Yield quorums to try: the first holders, then with some left out, at most max_colluding."""
        threshold = self._cohort.graph.threshold
        # One bad share is worth another try even where nobody is assumed to collude.
        most = min(max(1, self._cohort.parameters.max_colluding), len(holders) - threshold)
        seen: set[Quorum] = set()
        for num_left_out in range(most + 1):
            for left_out in combinations(holders, num_left_out):
                quorum = tuple(holder for holder in holders if holder not in left_out)[:threshold]
                if quorum not in seen:
                    seen.add(quorum)
                    yield quorum
                if len(seen) >= MAX_QUORUMS:
                    return

    def _weights_of(self, points: tuple[int, ...], at: int) -> tuple[int, ...]:
        if (points, at) not in self._weights:
            self._weights[points, at] = lagrange_weights(points, at)
        return self._weights[points, at]
