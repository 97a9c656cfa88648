"""Check test vectors with nothing but the definitions: every case is computed once more."""

import hashlib
import json
from collections.abc import Callable
from typing import Final

from tests.reference.mask_graph import check_graph
from tests.reference.primitives import mask_elements
from tests.reference.protocol import (
    Json,
    advert_statement,
    agreed,
    client_secrets,
    commitment,
    derived,
    encoding,
    input_statement,
    opened_secret,
    packed,
    pair_mask,
    public_of,
    require,
    self_mask,
    session_id,
    shares_of,
    signed,
    survivors_statement,
    unsealed,
    verified,
)
from tests.reference.protocol_client import begin
from tests.reference.protocol_server import Server
from tests.reference.slow_merkle import grown, tree_hash
from tests.reference.transcripts import PlaysClient, PlaysServer, check_refusal, check_session
from tests.reference.update_encoding import check_encoding, check_sum


class Reference:
    """Make the parties of a session vector from the definitions."""

    def client(self, vector: Json, me: str) -> tuple[PlaysClient, Json]:
        """Return a client and its first message."""
        return begin(vector, me)

    def server(self, vector: Json) -> PlaysServer:
        """Return the server."""
        return Server(vector)


def check(vector: Json) -> None:
    """Refuse a vector that does not hold."""
    if vector["kind"] == "session":
        (check_session if vector["success"] else check_refusal)(vector, Reference())
        return
    for case in vector["cases"]:
        CHECKS[vector["kind"]](case)


def same(computed: bytes | str, stated: str) -> None:
    """Refuse unless what was computed is what the vector states."""
    require((computed.hex() if isinstance(computed, bytes) else computed) == stated, "another value")


def _octets(case: Json, *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


def _labels(case: Json) -> None:
    same(encoding(case["label"], *map(bytes.fromhex, case["parts"])), case["encoding"])


def _key_agreement(case: Json) -> None:
    private, peer_public = _octets(case, "private", "peer_public")
    same(public_of(private), case["public"])
    same(agreed(private, peer_public), case["shared"])


def _key_derivation(case: Json) -> None:
    context = map(bytes.fromhex, case["context"])
    same(derived(bytes.fromhex(case["secret"]), case["label"], *context, length=case["length"]), case["key"])


def _keystream(case: Json) -> None:
    stop = case["start"] + len(case["elements"])
    elements = mask_elements(bytes.fromhex(case["seed"]), stop)[case["start"] :]
    require(elements == case["elements"], "another value")


def _sealing(case: Json) -> None:
    session, sealed, private, public = _octets(case, "session", "ciphertext", "private", "peer_public")
    plaintext = unsealed(sealed, private, public, (session, case["source"], case["destination"]))
    same(plaintext[:33], case["seed_share"])
    same(plaintext[33:], case["mask_key_share"])


def _sharing(case: Json) -> None:
    secret, entropy = _octets(case, "secret", "entropy")
    shares = shares_of(secret, case["threshold"], len(case["shares"]), entropy)
    require([share.hex() for share in shares] == case["shares"], "another value")


def _combining(case: Json) -> None:
    shares = {int(x): bytes.fromhex(share) for x, share in case["shares"].items()}
    secret = opened_secret(shares, case["threshold"])
    same(commitment(bytes.fromhex(case["context"]), case["client"], secret), case["seed_commitment"])


def _secrets(case: Json) -> None:
    context = bytes.fromhex(case["context"])
    secrets = client_secrets(bytes.fromhex(case["entropy"]), context, case["client"])
    for name, secret in secrets.items():
        same(secret, case[name])
    same(commitment(context, case["client"], secrets["seed"]), case["seed_commitment"])


def _advert(case: Json) -> None:
    identity, context, signature = _octets({**case, **case["advert"]}, "identity", "context", "signature")
    require(verified(identity, signature, advert_statement(context, case["advert"])), "bad_advert")


def _session_id(case: Json) -> None:
    same(session_id(bytes.fromhex(case["context"]), case["adverts"]), case["session"])


def _input_signature(case: Json) -> None:
    identity, session, vector, signature = _octets(case, "identity", "session", "vector", "signature")
    require(
        verified(
            identity,
            signature,
            input_statement(session, case["client"], vector, bytes.fromhex(case["receipt"])),
        ),
        "forged",
    )


def _survivors_signature(case: Json) -> None:
    identity, session, signature = _octets(case, "identity", "session", "signature")
    require(verified(identity, signature, survivors_statement(session, case["survivors"])), "forged")


def _masking(case: Json) -> None:
    seed, private, session = _octets(case, "seed", "mask_private", "session")
    length = len(case["vector"])
    columns = [case["vector"], self_mask(seed, session, length)]
    for peer, public in case["peers"].items():
        columns.append(pair_mask(private, bytes.fromhex(public), session, (case["client"], peer), length))
    masked = [sum(column) for column in zip(*columns, strict=True)]
    same(packed(masked, case["ring_bits"]), case["masked"])


def _manifest(case: Json) -> None:
    identity, signature, statement = _octets(case, "identity", "signature", "signed_bytes")
    fields = case["manifest"]
    parts = [_manifest_part(value) for value in fields.values()]
    require(encoding("fecosr/v1/round-manifest", *parts) == statement, "another value")
    same(hashlib.sha256(statement).digest(), case["context"])
    require(verified(identity, signature, statement), "forged")


def _run_closed(case: Json) -> None:
    identity, signature, statement = _octets(case, "identity", "signature", "signed_bytes")
    releases = [
        part
        for release in case["history"]
        for part in (bytes.fromhex(release["model_hash"]), release["validation"].encode())
    ]
    history = hashlib.sha256(encoding("fecosr/v1/releases", *releases)).digest()
    rounds, model = case["rounds"].to_bytes(8, "big"), bytes.fromhex(case["model_hash"])
    parts = (case["run"].encode(), rounds, model, history)
    require(encoding("fecosr/v1/run-closed", *parts) == statement, "another value")
    require(verified(identity, signature, statement), "forged")


def _manifest_part(value: str | int) -> bytes:
    """Return a name as it is, a hash as bytes, a number in 8 bytes, a real in hexadecimal notation."""
    if isinstance(value, int):
        return value.to_bytes(8, "big")
    return bytes.fromhex(value) if len(value) == 64 else value.encode()


def _signature(case: Json) -> None:
    seed, message = _octets(case, "seed", "message")
    same(signed(seed, message), case["signature"])


def _ledger(case: Json) -> None:
    public, run = bytes.fromhex(case["identity"]), case["run"].encode()
    lines = [line.encode() for line in case["lines"]]
    for number, line in enumerate(lines):
        entry = json.loads(line)
        require(_canonical(entry) == line, "canonical")
        require(entry["seq"] == number, "sequence")
        before = tree_hash(lines[:number])
        parts = (run, number.to_bytes(8, "big"), before, _canonical(entry["body"]))
        statement = encoding("fecosr/v1/ledger-record", *parts)
        require(verified(public, bytes.fromhex(entry["signature"]), statement), "signature")
    require(tree_hash(lines).hex() == case["root"], "another value")


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _checkpoint(case: Json) -> None:
    kept = [json.loads(case[name]) for name in ("line", "earlier")]
    require([_canonical(each).decode() for each in kept] == [case["line"], case["earlier"]], "canonical")
    later, earlier = (each["checkpoint"] for each in kept)
    head = (later["run"].encode(), later["size"].to_bytes(8, "big"), bytes.fromhex(later["root"]))
    statement = encoding("fecosr/v1/checkpoint", *head)
    signature = bytes.fromhex(later["signature"])
    require(verified(bytes.fromhex(case["identity"]), signature, statement), "checkpoint")
    require(later["run"] == earlier["run"], "checkpoint")
    require(later["size"] >= earlier["size"], "checkpoint")
    old, proof = bytes.fromhex(earlier["root"]), list(map(bytes.fromhex, case["proof"]))
    require(grown(earlier["size"], later["size"], old, proof) == (old, head[2]), "fork")
    statement = encoding("fecosr/v1/countersignature", case["market"].encode(), *head)
    signature = bytes.fromhex(kept[0]["countersignature"])
    require(verified(bytes.fromhex(case["market_identity"]), signature, statement), "countersignature")


CHECKS: Final[dict[str, Callable[[Json], None]]] = {
    "labels": _labels,
    "key-agreement": _key_agreement,
    "key-derivation": _key_derivation,
    "keystream": _keystream,
    "sealing": _sealing,
    "sharing": _sharing,
    "combining": _combining,
    "client-secrets": _secrets,
    "advert": _advert,
    "session-id": _session_id,
    "input-signature": _input_signature,
    "survivors-signature": _survivors_signature,
    "signature": _signature,
    "masking": _masking,
    "encoding": check_encoding,
    "sum": check_sum,
    "graph": check_graph,
    "manifest": _manifest,
    "run-closed": _run_closed,
    "ledger": _ledger,
    "checkpoint": _checkpoint,
}
