"""Vectors of sessions in which somebody lies: what one party received, up to the message it refuses."""

import hashlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, Final

from fecosr.crypto.signatures import SigningKey
from fecosr.ids import NodeId
from fecosr.secagg.messages import EncryptedShares
from fecosr.secagg.statements import advert_statement, session_id, survivors_statement
from tests.reference.protocol import Refused
from tests.reference.transcripts import check_refusal
from tests.vectors.generator.misdeals import complaining
from tests.vectors.generator.seeds import seeded
from tests.vectors.generator.sessions import inputs, played
from tests.vectors.messages import Json, advert_from_json, advert_to_json, client_message
from tests.vectors.ours import Ours

ME: Final = "be"
"""Whose view most of the vectors are."""


class Told:
    """Hold an honest session from which one party's view can be taken and spoiled."""

    def __init__(self, given: Json, **options: Any) -> None:
        self.given = given
        self.lines: list[Json] = played(given, **options)["transcript"]

    def client_view(self, last: str, receiver: str = ME) -> list[Json]:
        """Return all that the server tells a client, up to and including one kind of message."""
        view = [
            {"from": "server", "body": deepcopy(line["body"])}
            for line in self.lines
            if line["from"] == "server" and receiver in line["to"]
        ]
        kinds = [next(iter(line["body"])) for line in view]
        return view[: kinds.index(last) + 1]

    def server_view(self, last: str, sender: str = ME) -> list[Json]:
        """Return all that the clients tell the server, up to and including one message of one client."""
        view = [deepcopy(line) for line in self.lines if line["from"] != "server"]
        at = next(i for i, line in enumerate(view) if line["from"] == sender and last in line.get("body", {}))
        return view[: at + 1]


def refused(receiver: str, told: Told, view: list[Json]) -> Json:
    """Return the vector of a view whose last message our implementation refuses, with the rule it names."""
    vector = {**told.given, "receiver": receiver, "receives": view}
    try:
        check_refusal(vector, Ours())
    except Refused as refusal:
        return {**vector, "refusal": {"peer": refusal.peer, "rule": refusal.rule}}
    raise AssertionError("nothing was refused")


def bad() -> Iterator[tuple[str, str, Json]]:
    """Yield name, explanation and content of every session vector that must be refused."""
    yield from _bad_adverts()
    yield from _bad_shares()
    yield from _bad_survivors()
    yield from _bad_proofs()
    yield from _bad_client_messages()


def _resigned(advert: Json, **changes: str) -> Json:
    """Return an advert with some parts changed and signed again by its client."""
    new = advert_from_json({**advert, **changes})
    statement = advert_statement(
        seeded("context"), new.client, new.channel_public, new.mask_public, new.seed_commitment
    )
    signature = SigningKey(seeded(f"identity of {new.client}")).sign(statement)
    return {**advert_to_json(new), "signature": signature.hex()}


def _bad_adverts() -> Iterator[tuple[str, str, Json]]:
    told = Told(inputs())

    def view(change: Callable[[list[Json]], list[Json]]) -> Json:
        spoiled = told.client_view("advert_list")
        spoiled[-1]["body"]["advert_list"] = change(spoiled[-1]["body"]["advert_list"])
        return refused(ME, told, spoiled)

    key = SigningKey(seeded("identity of at")).public.hex()
    yield (
        "session-advert-forged",
        "The server puts a mask key of its own into another's advert.",
        view(lambda adverts: [{**adverts[0], "mask_public": key}, *adverts[1:]]),
    )
    other = Told(inputs(context="another context"))
    foreign = other.client_view("advert_list")[-1]["body"]["advert_list"]
    yield (
        "session-context-changed",
        "Another was told other rules: its advert is for another context.",
        view(lambda adverts: [foreign[0], *adverts[1:]]),
    )
    yield (
        "session-own-advert-replaced",
        "The receiver's own advert is an older one of its own.",
        view(
            lambda adverts: [
                advert if advert["client"] != ME else _resigned(advert, mask_public=adverts[0]["mask_public"])
                for advert in adverts
            ]
        ),
    )
    yield "session-adverts-unsorted", "The adverts are not in order.", view(lambda adverts: adverts[::-1])
    yield (
        "session-advert-twice",
        "One client is listed twice, so that the cohort looks larger.",
        view(lambda adverts: [adverts[0], *adverts]),
    )
    yield (
        "session-cohort-too-small",
        "Two clients are fewer than the receiver agreed to.",
        view(lambda adverts: adverts[:2]),
    )
    yield (
        "session-mask-key-reused",
        "A client advertises another's key as its own.",
        view(lambda adverts: [*adverts[:3], _resigned(adverts[3], mask_public=adverts[0]["mask_public"])]),
    )
    yield (
        "session-key-of-low-order",
        "A client advertises a key with which everybody knows the secret.",
        view(lambda adverts: [*adverts[:3], _resigned(adverts[3], mask_public=bytes(32).hex())]),
    )
    stranger = {**inputs(5)["clients"]["es"]}
    alone = inputs(5)
    alone["roster"] = {name: public for name, public in alone["roster"].items() if name != "es"}
    del alone["clients"]["es"]
    yield (
        "session-advert-of-a-stranger",
        "A client outside the roster is in the cohort.",
        _stranger(alone, stranger),
    )


def _stranger(without: Json, stranger: Json) -> Json:
    whole = inputs(5)
    assert whole["clients"]["es"] == stranger
    spoiled = Told(whole).client_view("advert_list")
    told = Told(without)
    return refused(ME, told, spoiled)


def _bad_shares() -> Iterator[tuple[str, str, Json]]:
    told = Told(inputs())

    def view(change: Callable[[Json], Json]) -> Json:
        spoiled = told.client_view("share_delivery")
        spoiled[-1]["body"]["share_delivery"] = change(spoiled[-1]["body"]["share_delivery"])
        return refused(ME, told, spoiled)

    yield (
        "session-sealed-share-changed",
        "A ciphertext was changed on its way.",
        view(lambda told: {**told, "at": _flipped(told["at"], "ciphertext")}),
    )
    yield (
        "session-share-commitment-changed",
        "A commitment was changed on its way, so that the holder would complain of the dealer.",
        view(lambda told: {**told, "at": _flipped(told["at"], "seed_share_commitment")}),
    )
    yield (
        "session-share-path-cut",
        "The path to the signed root is a step short.",
        view(lambda told: {**told, "at": {**told["at"], "path": told["at"]["path"][1:]}}),
    )
    theirs = told.client_view("share_delivery", "cz")[-1]["body"]["share_delivery"]
    yield (
        "session-shares-of-another-holder",
        "The shares of a dealer are those it dealt to another holder.",
        view(lambda told: {**told, "at": theirs["at"]}),
    )
    older = Told(inputs(salt=" in an older session")).client_view("share_delivery")
    yield (
        "session-shares-replayed",
        "The ciphertexts are those of an older session.",
        view(lambda _: older[-1]["body"]["share_delivery"]),
    )
    yield (
        "session-shares-swapped",
        "Two clients' ciphertexts change places.",
        view(lambda sealed: {**sealed, "at": sealed["cz"], "cz": sealed["at"]}),
    )
    yield (
        "session-too-few-shares",
        "The shares of one other client leave a cohort that hides nobody.",
        view(lambda sealed: {"at": sealed["at"]}),
    )


def _flipped(content: Json, name: str) -> Json:
    return {**content, name: f"{int(content[name][:2], 16) ^ 1:02x}{content[name][2:]}"}


def _bad_survivors() -> Iterator[tuple[str, str, Json]]:
    told = Told(inputs())

    def view(survivors: list[str]) -> Json:
        spoiled = told.client_view("survivor_list")
        spoiled[-1]["body"] = {"survivor_list": survivors}
        return refused(ME, told, spoiled)

    yield (
        "session-survivors-without-receiver",
        "The receiver's own vector is called missing.",
        view(["at", "cz", "de"]),
    )
    yield "session-too-few-survivors", "The sum would be over fewer than agreed.", view(["at", "be"])
    yield (
        "session-survivor-unknown",
        "A survivor is listed that shared no keys.",
        view(["at", "be", "cz", "es"]),
    )
    yield "session-survivors-unsorted", "The survivors are not in order.", view(["be", "at", "cz", "de"])
    spoiled = told.client_view("survivor_list")
    spoiled.append({"from": "server", "body": {"survivor_list": ["at", "be", "cz"]}})
    yield (
        "session-two-survivor-lists",
        "A second list comes after the first was signed.",
        refused(ME, told, spoiled),
    )


def _bad_proofs() -> Iterator[tuple[str, str, Json]]:
    told = Told(inputs())

    def view(change: Callable[[list[Json]], list[Json]]) -> Json:
        spoiled = told.client_view("consistency_proof")
        spoiled[-1]["body"]["consistency_proof"] = change(spoiled[-1]["body"]["consistency_proof"])
        return refused(ME, told, spoiled)

    yield "session-proof-too-small", "Fewer signed than a quorum needs.", view(lambda proof: proof[:2])
    yield (
        "session-proof-counted-twice",
        "One signature is counted twice.",
        view(lambda proof: [*proof[:2], proof[1]]),
    )
    yield (
        "session-proof-of-another-list",
        "A signer signed another list of survivors.",
        view(lambda proof: [*proof[:2], {"client": "cz", "signature": _other_list(told)}]),
    )
    yield (
        "session-proof-by-a-stranger",
        "Somebody signed who is no survivor.",
        view(lambda proof: [*proof[:3], {"client": "es", "signature": proof[3]["signature"]}]),
    )


def _other_list(told: Told) -> str:
    adverts = told.client_view("advert_list")[-1]["body"]["advert_list"]
    session = session_id(seeded("context"), [advert_from_json(advert) for advert in adverts])
    survivors = [NodeId(name) for name in ("at", "cz", "de")]
    return SigningKey(seeded("identity of cz")).sign(survivors_statement(session, survivors)).hex()


def _complaining(told: Told, accused: list[str]) -> Json:
    view = told.server_view("masked_input")
    deals = {
        NodeId(line["from"]): client_message(line["body"], 32)
        for line in view
        if "encrypted_shares" in line["body"]
    }
    dealt = {dealer: deal for dealer, deal in deals.items() if isinstance(deal, EncryptedShares)}
    adverts = [advert_from_json(line["body"]["key_advert"]) for line in view if "key_advert" in line["body"]]
    session = session_id(seeded("context"), adverts)
    view[-1]["body"] = complaining(session, ME, view[-1]["body"], dealt, accused)
    return refused("server", told, view)


def _bad_client_messages() -> Iterator[tuple[str, str, Json]]:
    told = Told(inputs())
    five = Told(inputs(5), leaving={"es": "masked_input"})

    def view(kind: str, change: Callable[[Json], None], source: Told = told) -> Json:
        spoiled = source.server_view(kind)
        change(spoiled[-1]["body"][kind])
        return refused("server", source, spoiled)

    def flip(content: Json, name: str) -> None:
        content[name] = f"{int(content[name][:2], 16) ^ 1:02x}{content[name][2:]}"

    def cut(content: Json, name: str) -> None:
        content[name] = content[name][2:]

    yield (
        "session-advert-of-another",
        "A client sends an advert in another's name.",
        view("key_advert", lambda advert: advert.update(client="at")),
    )
    yield (
        "session-advert-signature-wrong",
        "A client's advert is not signed by its identity.",
        view("key_advert", lambda advert: flip(advert, "signature")),
    )
    yield (
        "session-share-missing",
        "A client shares its secrets with all but one.",
        view("encrypted_shares", lambda deal: deal["dealt"].pop("de")),
    )
    yield (
        "session-share-cut",
        "A sealed share is a byte short.",
        view(
            "encrypted_shares",
            lambda deal: deal["dealt"]["de"].update(ciphertext=deal["dealt"]["de"]["ciphertext"][2:]),
        ),
    )
    yield (
        "session-deal-not-signed",
        "A dealer commits to another share than it signed.",
        view("encrypted_shares", lambda deal: flip(deal["dealt"]["de"], "mask_key_share_commitment")),
    )
    yield (
        "session-too-many-complaints",
        "A client complains of more dealers than may lie.",
        _complaining(told, ["at", "cz"]),
    )
    yield (
        "session-complaint-of-oneself",
        "A client complains of shares that were never delivered to it.",
        _complaining(told, [ME]),
    )
    yield (
        "session-complaint-not-signed",
        "A complaint was added to what a client signed.",
        view("masked_input", lambda message: message.update(unusable=["at"])),
    )
    yield (
        "session-reveal-not-signed",
        "Revealed shares are not those that were signed.",
        view("unmask_shares", lambda shares: flip(shares, "signature")),
    )
    yield (
        "session-input-changed",
        "The masked vector is not the one that was signed.",
        view("masked_input", lambda message: flip(message, "vector")),
    )
    yield (
        "session-input-cut",
        "The masked vector is an element short.",
        view("masked_input", lambda message: message.update(vector=message["vector"][8:])),
    )
    other = {"client": ME, "signature": hashlib.sha512(b"no signature").hexdigest()}
    yield (
        "session-consistency-signature-wrong",
        "A survivor's signature is of something else.",
        view("consistency_signature", lambda message: message.update(other)),
    )
    yield (
        "session-both-shares-revealed",
        "A client reveals both kinds of share of a client.",
        view(
            "unmask_shares",
            lambda shares: shares["mask_key_shares"].update(at=shares["seed_shares"]["at"]),
            five,
        ),
    )
    yield (
        "session-dropout-not-revealed",
        "A client reveals no share of the dropout's mask key.",
        view("unmask_shares", lambda shares: shares["mask_key_shares"].clear(), five),
    )
    second = told.server_view("encrypted_shares")
    repeated = deepcopy(second[-1])
    dealt = repeated["body"]["encrypted_shares"]["dealt"]
    dealt["de"] = dealt["cz"]
    yield (
        "session-two-answers",
        "A client sends two different messages where one is due.",
        refused("server", told, [*second, repeated]),
    )
