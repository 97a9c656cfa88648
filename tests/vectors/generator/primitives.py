"""Good vectors of what sessions are made of: derivations, sealing, sharing, signatures, masks, encodings."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fecosr.crypto.key_agreement import PrivateKey, derive_key
from fecosr.crypto.labels import Label, encode
from fecosr.crypto.prg import expand
from fecosr.crypto.shamir import split
from fecosr.crypto.signatures import SigningKey
from fecosr.ids import NodeId
from fecosr.secagg.masking import masked
from fecosr.secagg.secrets import ClientSecrets, derive_secrets
from fecosr.secagg.shares import Route, SharePair, seal_pair
from fecosr.secagg.statements import (
    masked_input_statement,
    seed_commitment,
    session_id,
    signed_advert,
    survivors_statement,
    vector_digest,
)
from tests.vectors.checks import encoded, encoding_of
from tests.vectors.generator.seeds import seeded
from tests.vectors.messages import Json, advert_from_json, advert_to_json

Named = tuple[str, str, Json]
CONTEXT = seeded("context")
SESSION = seeded("session")
AT, BE, CZ = (NodeId(name) for name in ("at", "be", "cz"))


def of(kind: str, *cases: Json) -> Json:
    return {"kind": kind, "cases": list(cases)}


def good() -> Iterator[Named]:
    """Yield name, explanation and content of every good vector."""
    yield "labels", "A label and its parts, each behind its length in 8 bytes.", of("labels", *labels())
    yield "key-agreement", "X25519.", of("key-agreement", agreement())
    yield (
        "key-derivation",
        "HKDF-SHA256 without salt; the info is label and context.",
        of("key-derivation", *_derivations()),
    )
    yield (
        "keystream",
        "AES-256-CTR from counter 0, read as little-endian 32-bit integers.",
        of("keystream", *_keystreams()),
    )
    yield "sealing", "Two shares sealed by one client for another.", of("sealing", sealed_pair())
    yield "sharing", "Shamir shares over the prime 2^256 + 297.", of("sharing", *_shared())
    yield (
        "combining",
        "Any threshold of shares opens the secret that was committed to.",
        of("combining", *combined()),
    )
    yield (
        "client-secrets",
        "All secrets of a session from 32 bytes of entropy.",
        of("client-secrets", *map(_secrets, (AT, BE))),
    )
    yield "advert", "Signed key adverts.", of("advert", advert_of(AT), advert_of(BE))
    yield "session-id", "The hash of context and adverts.", of("session-id", session_of_three())
    yield (
        "input-signature",
        "What a client signs when it hands in.",
        of("input-signature", signed_input()),
    )
    yield "survivors-signature", "What a survivor signs.", of("survivors-signature", survivors_signed())
    yield "signature", "Ed25519.", of("signature", _signature(b""), _signature(b"message"))
    yield (
        "masking",
        "A vector under its self mask and pairwise masks, in each ring.",
        of("masking", *map(_masked, (32, 24, 16))),
    )
    yield "encoding", "An update, its weight and loss as ring elements.", of("encoding", *encodings())
    yield "sum", "What a sum of encodings says.", of("sum", summed())
    yield (
        "encoding-with-validation",
        "A validation metric behind the loss; the last client measured none.",
        of("encoding", *validated_encodings()),
    )
    yield "sum-with-validation", "What a sum of those says.", of("sum", validated_sum())


def labels() -> list[Json]:
    parts: list[tuple[Label, list[bytes]]] = [
        (Label.CHECKPOINT, []),
        (Label.SESSION, [b"one", b"two", b""]),
        (Label.SURVIVORS, [SESSION, b"at", b"be"]),
    ]
    return [
        {"label": label.value, "parts": [part.hex() for part in some], "encoding": encode(label, *some).hex()}
        for label, some in parts
    ]


def agreement() -> Json:
    private, peer = PrivateKey(seeded("private key")), PrivateKey(seeded("peer's private key"))
    return {
        "private": private.secret.hex(),
        "public": private.public.hex(),
        "peer_public": peer.public.hex(),
        "shared": private.agree(peer.public).hex(),
    }


def _derivations() -> list[Json]:
    secret = seeded("secret")
    kinds: list[tuple[Label, list[bytes], int]] = [
        (Label.SELF_MASK, [SESSION], 32),
        (Label.PAIRWISE_MASK, [SESSION, b"at", b"be"], 32),
        (Label.ROUNDING, [], 80),
    ]
    return [
        {
            "secret": secret.hex(),
            "label": label.value,
            "context": [part.hex() for part in context],
            "length": length,
            "key": derive_key(secret, label, *context, length=length).hex(),
        }
        for label, context, length in kinds
    ]


def _keystreams() -> list[Json]:
    seed = seeded("keystream")
    elements = expand(seed, 24).tolist()
    return [
        {"seed": seed.hex(), "start": 0, "elements": elements[:9]},
        {"seed": seed.hex(), "start": 16, "elements": elements[16:]},
    ]


def sealed_pair() -> Json:
    private, peer = PrivateKey(seeded("channel key of at")), PrivateKey(seeded("channel key of be"))
    pair = SharePair(bytes(1) + seeded("seed share"), bytes(1) + seeded("mask key share"))
    return {
        "session": SESSION.hex(),
        "source": AT,
        "destination": BE,
        "private": private.secret.hex(),
        "peer_public": peer.public.hex(),
        "seed_share": pair.seed_share.hex(),
        "mask_key_share": pair.mask_key_share.hex(),
        "ciphertext": seal_pair(pair, private, peer.public, Route(SESSION, AT, BE)).hex(),
    }


def _shared() -> list[Json]:
    secret, entropy = seeded("shared secret"), seeded("sharing")
    return [
        {
            "secret": secret.hex(),
            "entropy": entropy.hex(),
            "threshold": threshold,
            "shares": [share.hex() for share in split(secret, threshold, num_shares, entropy)],
        }
        for threshold, num_shares in ((1, 2), (3, 5))
    ]


def combined() -> list[Json]:
    secret = seeded("shared secret")
    shares = split(secret, 3, 5, seeded("sharing"))
    return [
        {
            "context": CONTEXT.hex(),
            "client": AT,
            "seed_commitment": seed_commitment(CONTEXT, AT, secret).hex(),
            "threshold": 3,
            "shares": {str(x): shares[x - 1].hex() for x in positions},
        }
        for positions in ((1, 2, 3), (2, 4, 5))
    ]


def _secrets(client: NodeId) -> Json:
    entropy = seeded(f"entropy of {client}")
    secrets = derive_secrets(entropy, CONTEXT, client)
    return {
        "entropy": entropy.hex(),
        "context": CONTEXT.hex(),
        "client": client,
        "channel_private": secrets.channel_key.secret.hex(),
        "mask_private": secrets.mask_key.secret.hex(),
        "seed": secrets.seed.hex(),
        "seed_sharing": secrets.seed_sharing.hex(),
        "mask_key_sharing": secrets.mask_key_sharing.hex(),
        "seed_commitment": seed_commitment(CONTEXT, client, secrets.seed).hex(),
    }


def _identity(client: str) -> SigningKey:
    return SigningKey(seeded(f"identity of {client}"))


def advert_of(client: NodeId) -> Json:
    secrets = derive_secrets(seeded(f"entropy of {client}"), CONTEXT, client)
    keys = (secrets.channel_key.public, secrets.mask_key.public)
    commitment = seed_commitment(CONTEXT, client, secrets.seed)
    advert = signed_advert(CONTEXT, client, _identity(client), keys, commitment)
    return {
        "context": CONTEXT.hex(),
        "identity": _identity(client).public.hex(),
        "advert": advert_to_json(advert),
    }


def session_of_three() -> Json:
    adverts = [advert_of(client)["advert"] for client in (AT, BE, CZ)]
    session = session_id(CONTEXT, [advert_from_json(advert) for advert in adverts])
    return {"context": CONTEXT.hex(), "adverts": adverts, "session": session.hex()}


def signed_input() -> Json:
    vector = expand(seeded("masked vector"), 5)
    receipt = seeded("receipt")
    statement = masked_input_statement(SESSION, AT, vector_digest(vector), receipt)
    return {
        "identity": _identity(AT).public.hex(),
        "session": SESSION.hex(),
        "client": AT,
        "vector": vector.tobytes().hex(),
        "receipt": receipt.hex(),
        "signature": _identity(AT).sign(statement).hex(),
    }


def survivors_signed() -> Json:
    survivors = [AT, BE, CZ]
    return {
        "identity": _identity(BE).public.hex(),
        "session": SESSION.hex(),
        "survivors": survivors,
        "signature": _identity(BE).sign(survivors_statement(SESSION, survivors)).hex(),
    }


def _signature(message: bytes) -> Json:
    key = _identity(AT)
    return {"seed": key.seed.hex(), "message": message.hex(), "signature": key.sign(message).hex()}


def _masked(ring_bits: int) -> Json:
    private, seed = PrivateKey(seeded("mask key")), seeded("self-mask seed")
    peers = {peer: PrivateKey(seeded(f"mask key of {peer}")).public for peer in (AT, CZ)}
    vector = np.array([0, 1, 2**16 - 1, 2**24 - 1, 2**32 - 1], dtype=np.uint32)
    secrets = ClientSecrets(PrivateKey(bytes(32)), private, seed, bytes(32), bytes(32))
    result = masked(vector, secrets, peers, SESSION, BE, ring_bits)
    return {
        "client": BE,
        "session": SESSION.hex(),
        "seed": seed.hex(),
        "mask_private": private.secret.hex(),
        "peers": {peer: public.hex() for peer, public in peers.items()},
        "ring_bits": ring_bits,
        "vector": vector.tolist(),
        "masked": np.ascontiguousarray(result).tobytes().hex(),
    }


def encodings() -> list[Json]:
    return [encoding(32, 0.75, 0.5), encoding(24, 1.0, 2.25), encoding(16, 0.25, 9.0)]


def validated_encodings() -> list[Json]:
    return [
        encoding(32, 0.75, 0.5, measured=True, validation=0.25),
        encoding(24, 1.0, 2.25, measured=True, validation=1.0),
        encoding(16, 0.25, 9.0, measured=True),
    ]


def encoding(
    ring_bits: int,
    weight: float,
    loss: float,
    *,
    measured: bool = False,
    validation: float | None = None,
) -> Json:
    # Quarters of small integers, so that every product below is exact.
    update = [x / 4 for x in (0, 1, -1, 2, -3, 4, -5, 3, 2, -1, 0, 2)]
    fixed: dict[str, Any] = {
        "num_parameters": len(update),
        "clip_norm": (2.25).hex(),
        "num_summands": 5,
        "max_loss": (4.0).hex(),
        "ring_bits": ring_bits,
        "rotation_seed": CONTEXT.hex(),
        "with_validation": measured,
    }
    case = {
        **fixed,
        "update": [value.hex() for value in update],
        "weight": weight.hex(),
        "loss": loss.hex(),
        "validation": None if validation is None else validation.hex(),
        "rounding_seed": seeded("rounding").hex(),
        # A rotation in float32 may differ from the exact one by less than one step.
        "tolerance": 0 if ring_bits == 32 else 1,
    }
    return {**case, "elements": encoded(case)}


def summed() -> Json:
    return _sum_of([encoding(32, weight, loss) for weight, loss in ((0.75, 0.5), (1.0, 2.25), (0.25, 9.0))])


def validated_sum() -> Json:
    clients = ((0.75, 0.5, 0.25), (1.0, 2.25, 1.0), (0.25, 9.0, None))
    return _sum_of(
        [
            encoding(32, weight, loss, measured=True, validation=validation)
            for weight, loss, validation in clients
        ]
    )


def _sum_of(cases: list[Json]) -> Json:
    total = [sum(column) % 2**32 for column in zip(*(case["elements"] for case in cases), strict=True)]
    names = ("num_parameters", "clip_norm", "num_summands", "max_loss", "ring_bits", "rotation_seed")
    fixed = {name: cases[0][name] for name in (*names, "with_validation")}
    decoded = encoding_of(fixed).decode(np.array(total, dtype=np.uint32), len(cases))
    return {
        **fixed,
        "survivors": len(cases),
        "total": total,
        "update_sum": [float(value).hex() for value in decoded.update_sum],
        "weight": decoded.weight.hex(),
        "loss": decoded.loss.hex(),
        "validation_weight": decoded.validation_weight.hex(),
        "validation": decoded.validation.hex(),
    }
