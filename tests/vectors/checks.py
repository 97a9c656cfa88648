"""Check test vectors with our implementation (see tests/reference/vector_checks.py for the definitions)."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Final

import numpy as np

from fecosr.crypto.key_agreement import PrivateKey, derive_key
from fecosr.crypto.labels import Label, encode
from fecosr.crypto.prg import Keystream
from fecosr.crypto.shamir import reconstruct, split
from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import CryptoError, LedgerError, MisuseError
from fecosr.federation.messages import Release, RoundManifest, RunClosed
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import Checkpoint, Growth, check_growth, verify_checkpoint
from fecosr.ledger.countersignature import decode_kept, verify_countersignature
from fecosr.ledger.log import decode_entry, verify_log
from fecosr.secagg.encoding import UpdateEncoding
from fecosr.secagg.graph import mask_graph
from fecosr.secagg.masking import masked
from fecosr.secagg.packing import from_octets
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.secrets import ClientSecrets, derive_secrets
from fecosr.secagg.shares import Route, SharePair, open_pair
from fecosr.secagg.statements import (
    masked_input_statement,
    seed_commitment,
    session_id,
    survivors_statement,
    vector_digest,
    verify_advert,
)
from tests.reference.protocol import Refused, require
from tests.reference.transcripts import check_refusal, check_session
from tests.vectors.messages import Json, advert_from_json
from tests.vectors.ours import Ours


def check(vector: Json) -> None:
    """Refuse a vector that does not hold."""
    if vector["kind"] == "session":
        (check_session if vector["success"] else check_refusal)(vector, Ours())
        return
    for case in vector["cases"]:
        try:
            CHECKS[vector["kind"]](case)
        except LedgerError as error:
            raise Refused(error.rule) from None
        except (CryptoError, MisuseError) as error:
            raise Refused(str(error)) from None


def _same(computed: bytes, stated: str) -> None:
    require(computed.hex() == stated, "another value")


def _octets(case: Json, *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


def _labels(case: Json) -> None:
    _same(encode(Label(case["label"]), *map(bytes.fromhex, case["parts"])), case["encoding"])


def _key_agreement(case: Json) -> None:
    private, peer_public = _octets(case, "private", "peer_public")
    _same(PrivateKey(private).public, case["public"])
    _same(PrivateKey(private).agree(peer_public), case["shared"])


def _key_derivation(case: Json) -> None:
    secret, context = bytes.fromhex(case["secret"]), map(bytes.fromhex, case["context"])
    _same(derive_key(secret, Label(case["label"]), *context, length=case["length"]), case["key"])


def _keystream(case: Json) -> None:
    block = np.empty(len(case["elements"]), dtype="<u4")
    Keystream(bytes.fromhex(case["seed"]), case["start"]).fill(block)
    require(block.tolist() == case["elements"], "another value")


def _sealing(case: Json) -> None:
    session, sealed, private, public = _octets(case, "session", "ciphertext", "private", "peer_public")
    route = Route(session, NodeId(case["source"]), NodeId(case["destination"]))
    seed_share, mask_key_share = _octets(case, "seed_share", "mask_key_share")
    opened = open_pair(sealed, PrivateKey(private), public, route)
    require(opened == SharePair(seed_share, mask_key_share), "another value")


def _sharing(case: Json) -> None:
    secret, entropy = _octets(case, "secret", "entropy")
    shares = split(secret, case["threshold"], len(case["shares"]), entropy)
    require([share.hex() for share in shares] == case["shares"], "another value")


def _combining(case: Json) -> None:
    shares = {int(x): bytes.fromhex(share) for x, share in case["shares"].items()}
    secret = reconstruct(shares, case["threshold"])
    context = bytes.fromhex(case["context"])
    _same(seed_commitment(context, NodeId(case["client"]), secret), case["seed_commitment"])


def _secrets(case: Json) -> None:
    entropy, context = _octets(case, "entropy", "context")
    client = NodeId(case["client"])
    secrets = derive_secrets(entropy, context, client)
    _same(secrets.channel_key.secret, case["channel_private"])
    _same(secrets.mask_key.secret, case["mask_private"])
    for name in ("seed", "seed_sharing", "mask_key_sharing"):
        _same(getattr(secrets, name), case[name])
    _same(seed_commitment(context, client, secrets.seed), case["seed_commitment"])


def _advert(case: Json) -> None:
    identity, context = _octets(case, "identity", "context")
    verify_advert(context, advert_from_json(case["advert"]), identity)


def _session_id(case: Json) -> None:
    adverts = [advert_from_json(advert) for advert in case["adverts"]]
    _same(session_id(bytes.fromhex(case["context"]), adverts), case["session"])


def _input_signature(case: Json) -> None:
    identity, session, octets, signature = _octets(case, "identity", "session", "vector", "signature")
    digest, receipt = vector_digest(from_octets(octets, 32)), bytes.fromhex(case["receipt"])
    verify(identity, signature, masked_input_statement(session, NodeId(case["client"]), digest, receipt))


def _survivors_signature(case: Json) -> None:
    identity, session, signature = _octets(case, "identity", "session", "signature")
    verify(identity, signature, survivors_statement(session, case["survivors"]))


def _signature(case: Json) -> None:
    seed, message = _octets(case, "seed", "message")
    _same(SigningKey(seed).sign(message), case["signature"])


def _masking(case: Json) -> None:
    seed, private, session = _octets(case, "seed", "mask_private", "session")
    unused = PrivateKey(bytes(32))
    secrets = ClientSecrets(unused, PrivateKey(private), seed, bytes(32), bytes(32))
    peers = {NodeId(name): bytes.fromhex(public) for name, public in case["peers"].items()}
    vector = np.array(case["vector"], dtype=np.uint32)
    result = masked(vector, secrets, peers, session, NodeId(case["client"]), case["ring_bits"])
    _same(np.ascontiguousarray(result).tobytes(), case["masked"])


def encoding_of(case: Json) -> UpdateEncoding:
    """Return the encoding that a case is about."""
    return UpdateEncoding(
        case["num_parameters"],
        float.fromhex(case["clip_norm"]),
        case["num_summands"],
        float.fromhex(case["max_loss"]),
        case["ring_bits"],
        bytes.fromhex(case["rotation_seed"]),
        case["with_validation"],
    )


def encoded(case: Json) -> list[int]:
    """Return the elements that the update of a case becomes, within its ring."""
    update = np.array([float.fromhex(value) for value in case["update"]], dtype=np.float32)
    weight, loss = float.fromhex(case["weight"]), float.fromhex(case["loss"])
    validation = None if case["validation"] is None else float.fromhex(case["validation"])
    seed = bytes.fromhex(case["rounding_seed"])
    vector = encoding_of(case).encode(update, weight, loss, seed, validation)
    return [int(element) % 2 ** case["ring_bits"] for element in vector]


def _encoding(case: Json) -> None:
    require(encoded(case) == case["elements"], "another value")


def _sum(case: Json) -> None:
    decoded = encoding_of(case).decode(np.array(case["total"], dtype=np.uint32), case["survivors"])
    stated = [float.fromhex(value) for value in case["update_sum"]]
    require(decoded.update_sum.tolist() == stated, "another value")
    require(decoded.weight == float.fromhex(case["weight"]), "another value")
    for name in ("loss", "validation_weight", "validation"):
        require(getattr(decoded, name) == float.fromhex(case[name]), "another value")


def manifest_of(fields: Json) -> RoundManifest:
    """Return the manifest with these fields; hashes are hexadecimal and clip_norm in hexadecimal notation."""
    hashes = {name: bytes.fromhex(fields[name]) for name in ("plan_hash", "model_hash", "ledger_root")}
    return RoundManifest(**{**fields, **hashes, "clip_norm": float.fromhex(fields["clip_norm"])})


def _manifest(case: Json) -> None:
    manifest = manifest_of(case["manifest"])
    _same(manifest.signed_bytes(), case["signed_bytes"])
    _same(manifest.context(), case["context"])
    identity, signature = _octets(case, "identity", "signature")
    verify(identity, signature, manifest.signed_bytes())


def run_closed_of(case: Json) -> RunClosed:
    """Return the end of a run that a case states; an empty `validation` was not measured."""
    history = tuple(
        Release(
            bytes.fromhex(release["model_hash"]),
            float.fromhex(release["validation"]) if release["validation"] else None,
        )
        for release in case["history"]
    )
    run, (model, signature) = RunId(case["run"]), _octets(case, "model_hash", "signature")
    return RunClosed(
        run=run,
        rounds=case["rounds"],
        model_hash=model,
        history=history,
        ending=bytes(64),
        inclusion=(),
        growth=Growth(Checkpoint(run, 1, bytes(32), bytes(64)), 0, ()),
        signature=signature,
    )


def _run_closed(case: Json) -> None:
    closed = run_closed_of(case)
    _same(closed.signed_bytes(), case["signed_bytes"])
    verify(bytes.fromhex(case["identity"]), closed.signature, closed.signed_bytes())


def _graph(case: Json) -> None:
    colluding = case["max_colluding"]
    parameters = SecAggParameters(bytes(32), 1, colluding + 2, colluding)
    graph = mask_graph(parameters, bytes.fromhex(case["session"]), case["clients"])
    shape = (case["num_neighbours"], case["threshold"], case["window_survivors"])
    require(graph.degree is not None and (*astuple(graph.degree),) == shape, "another value")
    require(graph.threshold == case["threshold"], "another value")
    require(list(graph.ring) == case["ring"], "another value")
    require(list(graph.neighbours(case["client"])) == case["neighbours"], "another value")


def _ledger(case: Json) -> None:
    entries = [decode_entry(line.encode(), number) for number, line in enumerate(case["lines"])]
    head = verify_log(entries, bytes.fromhex(case["identity"])).head
    require((head.run, head.root.hex()) == (case["run"], case["root"]), "another value")


def _checkpoint(case: Json) -> None:
    later, earlier = (decode_kept(case[name].encode()) for name in ("line", "earlier"))
    identity, market_identity = _octets(case, "identity", "market_identity")
    verify_checkpoint(later.checkpoint, identity)
    proof = tuple(map(bytes.fromhex, case["proof"]))
    check_growth(Growth(later.checkpoint, earlier.checkpoint.size, proof), earlier.checkpoint)
    verify_countersignature(later.statement_of(NodeId(case["market"])), market_identity)


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
    "encoding": _encoding,
    "sum": _sum,
    "graph": _graph,
    "manifest": _manifest,
    "run-closed": _run_closed,
    "ledger": _ledger,
    "checkpoint": _checkpoint,
}
