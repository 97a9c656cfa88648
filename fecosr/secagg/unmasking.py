"""Open the survivors' seeds and the dropouts' mask keys, and take their masks out of the sum."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, combinations
from typing import Final

from fecosr.crypto.key_agreement import PrivateKey
from fecosr.crypto.prg import add_keystreams
from fecosr.crypto.shamir import combine, interpolate, lagrange_weights
from fecosr.errors import CryptoError
from fecosr.ids import NodeId
from fecosr.secagg.cohort import Cohort
from fecosr.secagg.masking import Vector, dropout_mask_removals, self_mask_removals
from fecosr.secagg.messages import UnmaskShares
from fecosr.secagg.outcomes import BadShare
from fecosr.secagg.statements import seed_commitment

MAX_QUORUMS: Final = 1000
"""How many sets of share holders are tried for one secret before it is given up."""

Quorum = tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """Hold every secret the sum still hides behind, and the bad shares found on the way."""

    seeds: Mapping[NodeId, bytes] = field(repr=False)
    mask_keys: Mapping[NodeId, PrivateKey] = field(repr=False)
    bad_shares: tuple[BadShare, ...]


def open_secrets(cohort: Cohort, reveals: Mapping[NodeId, UnmaskShares]) -> Opened:
    """Reconstruct every survivor's seed and every dropout's mask key from what the clients revealed.

    Each is compared with the advert its owner signed: a wrong share can stop a session, never bend its sum.

    Args:
        cohort: the session.
        reveals: for each share holder what it revealed, of exactly those whose shares it holds.

    Raises:
        CryptoError: naming a client whose secret no quorum of shares opens.
    """
    opener = _Opener(cohort)
    seeds: dict[NodeId, bytes] = {}
    for owner, shares in _by_owner({it: reveals[it].seed_shares for it in reveals}):
        seeds[owner] = opener.open(owner, shares, partial(_check_seed, cohort, owner))
    mask_keys: dict[NodeId, PrivateKey] = {}
    for owner, shares in _by_owner({it: reveals[it].mask_key_shares for it in reveals}):
        mask_keys[owner] = PrivateKey(opener.open(owner, shares, partial(_check_mask_key, cohort, owner)))
    return Opened(seeds, mask_keys, tuple(opener.bad_shares))


def _by_owner(
    revealed: Mapping[NodeId, Mapping[NodeId, bytes]],
) -> Iterator[tuple[NodeId, Mapping[NodeId, bytes]]]:
    """Yield every owner in order with what each holder, in order, revealed of its secret."""
    by_owner: dict[NodeId, dict[NodeId, bytes]] = {}
    for holder in sorted(revealed):
        for owner, share in revealed[holder].items():
            by_owner.setdefault(owner, {})[holder] = share
    yield from sorted(by_owner.items())


def unmask(total: Vector, cohort: Cohort, opened: Opened) -> None:
    """Take all masks out of the sum, in place: the survivors' own, and those they made with dropouts."""
    removals = [self_mask_removals(opened.seeds.values(), cohort.session)]
    for dropout, key in opened.mask_keys.items():
        peers = (peer for peer in cohort.graph.neighbours(dropout) if peer in opened.seeds)
        publics = cohort.mask_publics(peers)
        removals.append(dropout_mask_removals(key, dropout, publics, cohort.session))
    add_keystreams(total, chain(*removals))


def culprits(bad_shares: Sequence[BadShare]) -> tuple[NodeId, ...]:
    """Return the fewest clients whose misbehaviour explains every bad share, found greedily, sorted.

    A holder who changed many shares and an owner who dealt many wrong ones both stand out. Where a single
    share leaves open which of the two it was, its holder is named.
    """
    unexplained = set(bad_shares)
    named: list[NodeId] = []
    while unexplained:
        involved = {client for bad in unexplained for client in (bad.holder, bad.owner)}
        worst = max(sorted(involved), key=lambda client: _involvement(client, unexplained))
        named.append(worst)
        unexplained = {bad for bad in unexplained if worst not in (bad.holder, bad.owner)}
    return tuple(sorted(named))


def _involvement(client: NodeId, bad_shares: set[BadShare]) -> tuple[int, int]:
    held = sum(bad.holder == client for bad in bad_shares)
    return sum(client in (bad.holder, bad.owner) for bad in bad_shares), held


def _check_seed(cohort: Cohort, owner: NodeId, seed: bytes) -> None:
    if seed_commitment(cohort.parameters.context, owner, seed) != cohort.adverts[owner].seed_commitment:
        raise CryptoError("the seed is not the one committed to")


def _check_mask_key(cohort: Cohort, owner: NodeId, secret: bytes) -> None:
    if PrivateKey(secret).public != cohort.adverts[owner].mask_public:
        raise CryptoError("the mask key is not the one advertised")


class _Opener:
    """Open one secret after another, remembering the weights of each quorum and who gave bad shares."""

    def __init__(self, cohort: Cohort) -> None:
        self._cohort = cohort
        self._weights: dict[tuple[tuple[int, ...], int], tuple[int, ...]] = {}
        self.bad_shares: list[BadShare] = []

    def open(self, owner: NodeId, shares: Mapping[NodeId, bytes], check: Callable[[bytes], None]) -> bytes:
        """Return the secret on which a quorum agrees with `check`, noting every share that disagrees."""
        positions = self._cohort.graph.positions(owner)
        for quorum in self._quorums(tuple(shares)):
            points = tuple(positions[holder] for holder in quorum)
            agreed = [shares[holder] for holder in quorum]
            try:
                secret = combine(self._weights_of(points, 0), agreed)
                check(secret)
            except CryptoError:
                continue
            for holder in sorted(shares.keys() - frozenset(quorum)):
                if interpolate(self._weights_of(points, positions[holder]), agreed) != shares[holder]:
                    self.bad_shares.append(BadShare(holder, owner))
            return secret
        raise CryptoError(f"no quorum of shares opens the secret of {owner}")

    def _quorums(self, holders: Quorum) -> Iterator[Quorum]:
        """Yield quorums to try: first all trusted holders, then leaving some out, at most max_colluding."""
        suspects = {bad.holder for bad in self.bad_shares}
        ranked = sorted(holders, key=lambda holder: (holder in suspects, holder))
        threshold = self._cohort.graph.threshold
        # One bad share is worth another try even where nobody is assumed to collude.
        most = min(max(1, self._cohort.parameters.max_colluding), len(ranked) - threshold)
        seen: set[Quorum] = set()
        for num_left_out in range(most + 1):
            for left_out in combinations(ranked, num_left_out):
                quorum = tuple(holder for holder in ranked if holder not in left_out)[:threshold]
                if quorum not in seen:
                    seen.add(quorum)
                    yield quorum
                if len(seen) >= MAX_QUORUMS:
                    return

    def _weights_of(self, points: tuple[int, ...], at: int) -> tuple[int, ...]:
        if (points, at) not in self._weights:
            self._weights[points, at] = lagrange_weights(points, at)
        return self._weights[points, at]
