"""The server from the protocol's description: what it tells whom, and what it refuses."""

from collections.abc import Iterable

from tests.reference.mask_graph import Graph
from tests.reference.protocol import (
    Json,
    Refused,
    advert_statement,
    agreed,
    agreeing_quorum,
    commitment,
    input_statement,
    on_polynomial,
    packed,
    pair_mask,
    public_of,
    require,
    self_mask,
    session_id,
    survivors_statement,
    threshold_of,
    unpacked,
    verified,
)
from tests.reference.protocol_deals import (
    commitment_to,
    delivered,
    leaf_of,
    receipt_of,
    reveal_statement,
    statement_of_deal,
)

PHASES = ("key_advert", "encrypted_shares", "masked_input", "consistency_signature", "unmask_shares")
TOO_FEW = (
    "too_few_adverts",
    "too_few_shares",
    "too_few_inputs",
    "too_few_signatures",
    "too_few_unmask_shares",
)
Sent = list[tuple[str, Json]]


class Server:
    """Play the server of a session vector.

    Attributes:
        outcome: None while it runs; then what the vector calls its outcome.
    """

    def __init__(self, vector: Json) -> None:
        rules = vector["parameters"]
        self.context = bytes.fromhex(rules["context"])
        self.length: int = rules["length"]
        self.n_min: int = rules["n_min"]
        self.max_colluding: int = rules["max_colluding"]
        self.ring_bits: int = rules["ring_bits"]
        self.roster = {name: bytes.fromhex(public) for name, public in vector["roster"].items()}
        self.asked = set(vector["clients"])
        self.gone: set[str] = set()
        self.phase = 0
        self.needed = self.n_min
        self.answers: dict[str, Json] = {}
        self.unusable: dict[str, set[str]] = {}
        self.outcome: Json | None = None

    def receive(self, sender: str, body: Json) -> Sent:
        """Return what is sent to whom after one message."""
        ((kind, content),) = body.items()
        require(sender not in self.gone, "late", sender)
        require(kind == PHASES[self.phase], "early", sender)
        if sender in self.answers:
            require(content == self.answers[sender], "equivocation", sender)
            return []
        checks = (
            self._check_advert,
            self._check_shares,
            self._check_input,
            self._check_signature,
            self._check_reveal,
        )
        checks[self.phase](sender, content)
        self.answers[sender] = content
        return self._advance()

    def leave(self, client: str) -> Sent:
        """Return what is sent to whom after a client has left."""
        self.gone.add(client)
        return self._advance()

    def _advance(self) -> Sent:
        if self.outcome is not None:
            return []
        answered = set(self.answers) - self.gone if self.phase < 2 else set(self.answers)
        waiting = self.asked - self.gone - set(self.answers)
        if len(answered | waiting) < self.needed:
            return self._end(TOO_FEW[self.phase])
        if waiting:
            return []
        return (self._fix_cohort, self._deliver, self._list, self._prove, self._open)[self.phase](
            sorted(answered)
        )

    def _enter(self, asked: Iterable[str], needed: int, sent: Sent) -> Sent:
        self.phase += 1
        self.asked, self.needed, self.answers = set(asked), needed, {}
        self._advance()
        return [] if self.outcome is not None else sent

    def _fix_cohort(self, names: list[str]) -> Sent:
        self.adverts = {name: self.answers[name] for name in names}
        self.session = session_id(self.context, list(self.adverts.values()))
        self.quorum = threshold_of(len(names), self.max_colluding)
        self.graph = Graph(self.session, names, self.max_colluding)
        body = {"advert_list": list(self.adverts.values())}
        return self._enter(names, max(self.n_min, self.quorum), [(name, body) for name in names])

    def _deliver(self, names: list[str]) -> Sent:
        isolated = self.graph.isolated(names)
        if isolated:
            self.gone |= isolated
            return self._advance()
        self.deals = {name: self.answers[name] for name in names}
        sent: Sent = [
            (
                name,
                {
                    "share_delivery": {
                        dealer: delivered(self.session, dealer, self.deals[dealer], name)
                        for dealer in names
                        if dealer in self.graph.neighbours(name)
                    }
                },
            )
            for name in names
        ]
        self.sharers = names
        self.total = [0] * self.length
        return self._enter(names, self.needed, sent)

    def _list(self, names: list[str]) -> Sent:
        if self.graph.has_gap(names):
            return self._end("too_few_inputs")
        self.survivors = names
        for name in names:
            elements = unpacked(bytes.fromhex(self.answers[name]["vector"]), self.ring_bits)
            self.total = [a + b for a, b in zip(self.total, elements, strict=True)]
        left = sorted(set(names) - self.gone)
        self.unusable = {name: set(self.answers[name]["unusable"]) for name in names}
        for owner in set().union(*self.unusable.values()):
            if self._num_usable(owner, left) < self.graph.threshold:
                return self._end("unusable_shares")
        return self._enter(left, self.quorum, [(name, {"survivor_list": names}) for name in left])

    def _num_usable(self, owner: str, present: Iterable[str]) -> int:
        holders = set(self.graph.holders(owner)) & set(present)
        return sum(owner not in self.unusable[holder] for holder in holders)

    def _end(self, reason: str, convicted: Iterable[tuple[str, str, str]] = ()) -> Sent:
        everybody = {*convicted, *self._complained_of()}
        self.outcome = {"aborted": reason, "convicted": sorted(map(list, everybody))}
        return []

    def _complained_of(self) -> set[tuple[str, str, str]]:
        said = {name: set(it["unusable"]) for name, it in self.answers.items()} if self.phase == 2 else {}
        complaints = [dealer for dealers in (said or self.unusable).values() for dealer in dealers]
        return {
            (dealer, "unusable_shares", dealer)
            for dealer in complaints
            if complaints.count(dealer) > self.max_colluding
        }

    def _prove(self, names: list[str]) -> Sent:
        body = {"consistency_proof": [self.answers[name] for name in names]}
        left = sorted(set(names) - self.gone)
        return self._enter(left, self.graph.threshold, [(name, body) for name in left])

    def _open(self, holders: list[str]) -> Sent:
        convicted: set[tuple[str, str, str]] = set()
        dropouts = sorted(set(self.sharers) - set(self.survivors))
        for owner in self.sharers:
            if self._num_usable(owner, holders) < self.graph.threshold:
                return self._end("too_few_unmask_shares")
        seeds = {owner: self._secret(owner, "seed", convicted) for owner in self.survivors}
        privates = {owner: self._secret(owner, "mask_key", convicted) for owner in dropouts}
        for seed in seeds.values():
            if seed is None:
                return self._end("bad_shares", convicted)
            self._take_out(self_mask(seed, self.session, self.length), -1)
        for owner, private in privates.items():
            if private is None:
                return self._end("bad_shares", convicted)
            for survivor in sorted(set(self.survivors) & set(self.graph.neighbours(owner))):
                public = bytes.fromhex(self.adverts[survivor]["mask_public"])
                self._take_out(pair_mask(private, public, self.session, (owner, survivor), self.length), 1)
        self.outcome = {
            "survivors": self.survivors,
            "total": unpacked(packed(self.total, self.ring_bits), self.ring_bits),
            "convicted": sorted(map(list, convicted | self._complained_of())),
        }
        return []

    def _take_out(self, mask: list[int], sign: int) -> None:
        self.total = [element + sign * part for element, part in zip(self.total, mask, strict=True)]

    def _secret(self, owner: str, kind: str, convicted: set[tuple[str, str, str]]) -> bytes | None:
        names = self.graph.holders(owner)
        shares: dict[int, bytes] = {}
        for holder, told in self.answers.items():
            if holder not in names or owner in self.unusable[holder]:
                continue
            share = bytes.fromhex(told[f"{kind}_shares"][owner])
            accepted = self.deals[owner]["dealt"][holder][f"{kind}_share_commitment"]
            if commitment_to(self.session, owner, holder, kind, share).hex() == accepted:
                shares[names.index(holder) + 1] = share
            else:
                convicted.add((holder, "changed_share", owner))
        advert = self.adverts[owner]

        def is_right(secret: bytes) -> bool:
            if kind == "seed":
                return bytes.fromhex(advert["seed_commitment"]) == commitment(self.context, owner, secret)
            return bytes.fromhex(advert["mask_public"]) == public_of(secret)

        found = agreeing_quorum(shares, self.graph.threshold, is_right)
        if found is None:
            if len(shares) >= self.graph.threshold:
                convicted.add((owner, "misdealt_shares", owner))
            return None
        secret, quorum = found
        if not all(on_polynomial(shares, quorum, x) for x in shares):
            convicted.add((owner, "misdealt_shares", owner))
        return secret

    def _check_advert(self, sender: str, advert: Json) -> None:
        require(advert["client"] == sender, "wrong_name", sender)
        signature = bytes.fromhex(advert["signature"])
        genuine = verified(self.roster[sender], signature, advert_statement(self.context, advert))
        require(genuine, "bad_advert", sender)
        keys = [bytes.fromhex(advert[key]) for key in ("channel_public", "mask_public")]
        for key in keys:
            try:
                agreed(bytes(range(32)), key)
            except Refused as refusal:
                raise Refused(refusal.rule, sender) from None
        used = {other[key] for other in self.answers.values() for key in ("channel_public", "mask_public")}
        fresh = len({*keys}) == 2 and not used & {key.hex() for key in keys}
        require(fresh, "key_reused", sender)

    def _check_shares(self, sender: str, deal: Json) -> None:
        entries = deal["dealt"]
        require(entries.keys() == set(self.graph.holders(sender)), "wrong_destinations", sender)
        sizes = {"ciphertext": 82, "seed_share_commitment": 32, "mask_key_share_commitment": 32}
        whole = all(
            len(entry[part]) == 2 * size for entry in entries.values() for part, size in sizes.items()
        )
        require(whole, "malformed_share", sender)
        statement = statement_of_deal(self.session, sender, entries)
        genuine = verified(self.roster[sender], bytes.fromhex(deal["signature"]), statement)
        require(genuine, "bad_deal", sender)

    def _check_input(self, sender: str, message: Json) -> None:
        octets = bytes.fromhex(message["vector"])
        fits = len(octets) == self.length * self.ring_bits // 8
        require(fits, "wrong_vector", sender)
        unusable = message["unusable"]
        dealers = set(self.sharers) & set(self.graph.neighbours(sender))
        fair = set(unusable) <= dealers and len(unusable) <= max(1, self.max_colluding)
        require(fair and unusable == sorted(set(unusable)), "bad_complaint", sender)
        leaves = {
            dealer: leaf_of(self.session, dealer, sender, deal["dealt"][sender])
            for dealer, deal in self.deals.items()
            if dealer in dealers
        }
        receipt = receipt_of(self.session, sender, leaves, unusable)
        statement = input_statement(self.session, sender, octets, receipt)
        genuine = verified(self.roster[sender], bytes.fromhex(message["signature"]), statement)
        require(genuine, "bad_input_signature", sender)

    def _check_signature(self, sender: str, message: Json) -> None:
        require(message["client"] == sender, "wrong_name", sender)
        statement = survivors_statement(self.session, self.survivors)
        genuine = verified(self.roster[sender], bytes.fromhex(message["signature"]), statement)
        require(genuine, "bad_survivors_signature", sender)

    def _check_reveal(self, sender: str, message: Json) -> None:
        usable = set(self.sharers) & set(self.graph.holders(sender)) - self.unusable[sender]
        survivors, dropouts = usable & set(self.survivors), usable - set(self.survivors)
        seeds, keys = message["seed_shares"], message["mask_key_shares"]
        right = seeds.keys() == survivors and keys.keys() == dropouts
        require(right, "wrong_shares", sender)
        whole = all(len(bytes.fromhex(share)) == 33 for share in (*seeds.values(), *keys.values()))
        require(whole, "malformed_share", sender)
        signature = bytes.fromhex(message["signature"])
        genuine = verified(self.roster[sender], signature, reveal_statement(self.session, sender, message))
        require(genuine, "bad_reveal_signature", sender)
