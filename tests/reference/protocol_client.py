"""A client from the protocol's description: what it says to each message, and what it refuses."""

from collections.abc import Callable
from typing import Any

from tests.reference.mask_graph import Graph
from tests.reference.protocol import (
    Json,
    Refused,
    advert_statement,
    agreed,
    client_secrets,
    commitment,
    input_statement,
    packed,
    pair_mask,
    public_of,
    require,
    self_mask,
    session_id,
    shares_of,
    signed,
    survivors_statement,
    threshold_of,
    verified,
)
from tests.reference.protocol_deals import (
    dealt,
    leaf_in_deal,
    opened_pair,
    receipt_of,
    reveal_statement,
    statement_of_deal,
)

SERVER = "coordinator"


class Client:
    """Play one client of a session vector."""

    def __init__(self, vector: Json, me: str) -> None:
        rules, mine = vector["parameters"], vector["clients"][me]
        self.me = me
        self.context = bytes.fromhex(rules["context"])
        self.n_min: int = rules["n_min"]
        self.max_colluding: int = rules["max_colluding"]
        self.ring_bits: int = rules["ring_bits"]
        self.roster = {name: bytes.fromhex(public) for name, public in vector["roster"].items()}
        self.identity = bytes.fromhex(mine["identity_seed"])
        self.elements: list[int] = mine["vector"]
        self.secrets = client_secrets(bytes.fromhex(mine["entropy"]), self.context, me)
        self.waits_for = "advert_list"
        self.adverts: dict[str, Json] = {}
        self.pairs: dict[str, bytes] = {}
        self.sharers: set[str] = set()
        self.survivors: list[str] = []

    def begin(self) -> Json:
        """Return the client's advert."""
        advert = {
            "client": self.me,
            "channel_public": public_of(self.secrets["channel_private"]).hex(),
            "mask_public": public_of(self.secrets["mask_private"]).hex(),
            "seed_commitment": commitment(self.context, self.me, self.secrets["seed"]).hex(),
        }
        self.advert = {
            **advert,
            "signature": signed(self.identity, advert_statement(self.context, advert)).hex(),
        }
        return {"key_advert": self.advert}

    def receive(self, body: Json) -> Json:
        """Return the answer to one message of the server."""
        ((kind, content),) = body.items()
        if kind == "survivor_list" and self.waits_for == "consistency_proof" and content != self.survivors:
            raise Refused("equivocation", SERVER)
        require(kind == self.waits_for, "early", SERVER)
        answers: dict[str, Callable[[Any], Json]] = {
            "advert_list": self._share,
            "share_delivery": self._hand_in,
            "survivor_list": self._agree,
            "consistency_proof": self._reveal,
        }
        return answers[kind](content)

    def _share(self, adverts: list[Json]) -> Json:
        self._check_adverts(adverts)
        self.adverts = {advert["client"]: advert for advert in adverts}
        self.session = session_id(self.context, adverts)
        self.quorum = threshold_of(len(adverts), self.max_colluding)
        self.graph = Graph(self.session, list(self.adverts), self.max_colluding)
        names, secrets = self.graph.holders(self.me), self.secrets
        shares = {}
        for what, sharing in (("seed", "seed_sharing"), ("mask_private", "mask_key_sharing")):
            values = shares_of(secrets[what], self.graph.threshold, len(names), secrets[sharing])
            shares[what] = dict(zip(names, values, strict=True))
        both = {name: shares["seed"][name] + shares["mask_private"][name] for name in names}
        self.pairs = {name: pair for name, pair in both.items() if name == self.me}
        self.waits_for = "share_delivery"
        private = secrets["channel_private"]
        entries = {
            name: dealt(both[name], private, self._channel_of(name), (self.session, self.me, name))
            for name in names
        }
        statement = statement_of_deal(self.session, self.me, entries)
        return {"encrypted_shares": {"dealt": entries, "signature": signed(self.identity, statement).hex()}}

    def _channel_of(self, peer: str) -> bytes:
        return bytes.fromhex(self.adverts[peer]["channel_public"])

    def _check_adverts(self, adverts: list[Json]) -> None:
        fewest = max(self.n_min, threshold_of(len(adverts), self.max_colluding))
        names = [advert["client"] for advert in adverts]
        require(len(adverts) >= fewest, "cohort_too_small", SERVER)
        require(names == sorted(set(names)), "adverts_unsorted", SERVER)
        require(self.advert in adverts, "own_advert_changed", SERVER)
        strangers = set(names) - self.roster.keys()
        require(not strangers, "not_in_roster", SERVER)
        for advert in adverts:
            statement, signature = advert_statement(self.context, advert), bytes.fromhex(advert["signature"])
            pinned = self.roster[advert["client"]]
            require(verified(pinned, signature, statement), "bad_advert", SERVER)
            for key in ("channel_public", "mask_public"):
                try:
                    agreed(bytes(range(32)), bytes.fromhex(advert[key]))
                except Refused as refusal:
                    raise Refused(refusal.rule, advert["client"]) from None
        keys = [advert[key] for advert in adverts for key in ("channel_public", "mask_public")]
        require(len(set(keys)) == len(keys), "key_reused", SERVER)

    def _hand_in(self, told: dict[str, Json]) -> Json:
        known = set(self.graph.neighbours(self.me))
        require(told.keys() <= known, "unknown_source", SERVER)
        fewest = self.graph.threshold if self.graph.is_sparse else self._fewest() - 1
        require(len(told) >= fewest, "cohort_too_small", SERVER)
        leaves = {
            dealer: leaf_in_deal(
                self.session, (dealer, self.me), self.graph.holders(dealer), entry, self.roster[dealer]
            )
            for dealer, entry in sorted(told.items())
        }
        private = self.secrets["channel_private"]
        for dealer, entry in told.items():
            route = (self.session, dealer, self.me)
            pair = opened_pair(entry, private, self._channel_of(dealer), route)
            if pair is not None:
                self.pairs[dealer] = pair
        self.sharers = {*told, self.me}
        unusable = sorted(told.keys() - self.pairs.keys())
        octets = packed(self._masked(), self.ring_bits)
        receipt = receipt_of(self.session, self.me, leaves, unusable)
        signature = signed(self.identity, input_statement(self.session, self.me, octets, receipt))
        self.waits_for = "survivor_list"
        return {"masked_input": {"vector": octets.hex(), "unusable": unusable, "signature": signature.hex()}}

    def _masked(self) -> list[int]:
        length = len(self.elements)
        columns = [self.elements, self_mask(self.secrets["seed"], self.session, length)]
        for peer in self.sharers - {self.me}:
            public = bytes.fromhex(self.adverts[peer]["mask_public"])
            pair = (self.me, peer)
            columns.append(pair_mask(self.secrets["mask_private"], public, self.session, pair, length))
        return [sum(column) for column in zip(*columns, strict=True)]

    def _agree(self, survivors: list[str]) -> Json:
        require(survivors == sorted(set(survivors)), "survivors_unsorted", SERVER)
        require(self.me in survivors, "not_a_survivor", SERVER)
        require(set(survivors) <= self.adverts.keys(), "unknown_survivor", SERVER)
        silent = set(self.graph.neighbours(self.me)) - self.sharers
        require(not silent & set(survivors), "unknown_survivor", SERVER)
        require(len(survivors) >= self._fewest(), "too_few_survivors", SERVER)
        require(not self.graph.has_gap(survivors), "survivors_apart", SERVER)
        self.survivors = survivors
        self.waits_for = "consistency_proof"
        signature = signed(self.identity, survivors_statement(self.session, survivors))
        return {"consistency_signature": {"client": self.me, "signature": signature.hex()}}

    def _reveal(self, signatures: list[Json]) -> Json:
        signers = [entry["client"] for entry in signatures]
        require(signers == sorted(set(signers)), "proof_unsorted", SERVER)
        require(set(signers) <= set(self.survivors), "unknown_signer", SERVER)
        require(len(signers) >= self.quorum, "proof_too_small", SERVER)
        statement = survivors_statement(self.session, self.survivors)
        for entry in signatures:
            genuine = verified(self.roster[entry["client"]], bytes.fromhex(entry["signature"]), statement)
            require(genuine, "bad_survivors_signature", SERVER)
        self.waits_for = "nothing more"
        alive = self.pairs.keys() & set(self.survivors)
        revealed = {
            "seed_shares": {name: self.pairs[name][:33].hex() for name in alive},
            "mask_key_shares": {name: self.pairs[name][33:].hex() for name in self.pairs.keys() - alive},
        }
        signature = signed(self.identity, reveal_statement(self.session, self.me, revealed))
        return {"unmask_shares": {**revealed, "signature": signature.hex()}}

    def _fewest(self) -> int:
        return max(self.n_min, self.quorum)


def begin(vector: Json, me: str) -> tuple[Any, Json]:
    """Return a client and its first message."""
    client = Client(vector, me)
    return client, client.begin()
