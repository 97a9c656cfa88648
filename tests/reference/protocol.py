"""What PROTOCOL.md says is derived, committed to, signed and masked, written once more from the definitions.

Plain integers, hashlib, hmac and the primitives of `cryptography`; nothing of what it is compared with.
Messages are the JSON values of the test vectors: byte strings are hexadecimal.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.reference.primitives import FIELD, ctr_keystream, hkdf_sha256, interpolate_at_zero, mask_elements

Json = dict[str, Any]


class Refused(Exception):
    """Refuse a vector, naming the rule and the peer that broke it where the protocol names them."""

    def __init__(self, rule: str, peer: str = "") -> None:
        self.rule = rule
        self.peer = peer
        super().__init__(f"{peer}: {rule}" if peer else rule)


def require(kept: bool, rule: str, peer: str = "") -> None:
    """Refuse unless the rule was kept."""
    if not kept:
        raise Refused(rule, peer)


def encoding(label: str, *parts: bytes) -> bytes:
    """Return label and parts, each behind its length in 8 bytes, highest first."""
    return b"".join(len(piece).to_bytes(8, "big") + piece for piece in (label.encode(), *parts))


def digest(label: str, *parts: bytes) -> bytes:
    """Return the SHA-256 of an encoding."""
    return hashlib.sha256(encoding(label, *parts)).digest()


def derived(secret: bytes, label: str, *context: bytes, length: int = 32) -> bytes:
    """Return what HKDF-SHA256 without salt makes of a secret for one purpose."""
    return hkdf_sha256(secret, b"", encoding(label, *context), length)


def public_of(private: bytes) -> bytes:
    """Return the X25519 public key."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


@cache
def agreed(private: bytes, public: bytes) -> bytes:
    """Return the X25519 secret; refuse a key with which everybody would know it."""
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
    except ValueError:
        raise Refused("unusable_key") from None


def identity_of(seed: bytes) -> bytes:
    """Return the Ed25519 public key."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def signed(seed: bytes, message: bytes) -> bytes:
    """Return the Ed25519 signature."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


@cache
def verified(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether a signature is this key's of this message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def client_secrets(entropy: bytes, context: bytes, client: str) -> dict[str, bytes]:
    """Return everything a client keeps to itself in one session."""
    purposes = {
        "channel_private": b"channel key",
        "mask_private": b"mask key",
        "seed": b"self-mask seed",
        "seed_sharing": b"sharing of the self-mask seed",
        "mask_key_sharing": b"sharing of the mask key",
    }
    label = "fecosr/v1/client-secrets"
    return {
        name: derived(entropy, label, context, client.encode(), purpose) for name, purpose in purposes.items()
    }


def commitment(context: bytes, client: str, seed: bytes) -> bytes:
    """Return the commitment to a self-mask seed."""
    return digest("fecosr/v1/seed-commitment", context, client.encode(), seed)


def advert_statement(context: bytes, advert: Json) -> bytes:
    """Return what a client signs when it advertises its keys."""
    keys = [bytes.fromhex(advert[name]) for name in ("channel_public", "mask_public", "seed_commitment")]
    return encoding("fecosr/v1/key-advert", context, advert["client"].encode(), *keys)


def session_id(context: bytes, adverts: Sequence[Json]) -> bytes:
    """Return the name of the session of these adverts, which are sorted by client."""
    names = ("channel_public", "mask_public", "seed_commitment", "signature")
    parts = [
        part
        for advert in adverts
        for part in (advert["client"].encode(), *(bytes.fromhex(advert[name]) for name in names))
    ]
    return digest("fecosr/v1/session", context, *parts)


def input_statement(session: bytes, client: str, octets: bytes, receipt: bytes) -> bytes:
    """Return what a client signs when it hands in these bytes."""
    digest_of_octets = hashlib.sha256(octets).digest()
    return encoding("fecosr/v1/masked-input", session, client.encode(), digest_of_octets, receipt)


def survivors_statement(session: bytes, survivors: Sequence[str]) -> bytes:
    """Return what a survivor signs."""
    return encoding("fecosr/v1/survivors", session, *(client.encode() for client in survivors))


def shares_of(secret: bytes, threshold: int, num_shares: int, entropy: bytes) -> list[bytes]:
    """Return the values of the sharing polynomial at 1, 2, ..."""
    stream = ctr_keystream(derived(entropy, "fecosr/v1/shamir-coefficients"), 0, 48 * (threshold - 1))
    higher = [int.from_bytes(stream[48 * i : 48 * i + 48], "big") for i in range(threshold - 1)]
    coefficients = [int.from_bytes(secret, "big"), *higher]
    return [
        (sum(c * pow(x, power, FIELD) for power, c in enumerate(coefficients)) % FIELD).to_bytes(33, "big")
        for x in range(1, num_shares + 1)
    ]


def opened_secret(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """Return the secret that the first `threshold` shares open."""
    require(len(shares) >= threshold >= 1, "too few shares")
    used = {x: shares[x] for x in sorted(shares)[:threshold]}
    for share in used.values():
        require(len(share) == 33 and int.from_bytes(share, "big") < FIELD, "malformed_share")
    value = interpolate_at_zero(used)
    require(value < 2**256, "shares do not open a secret")
    return value.to_bytes(32, "big")


def agreeing_quorum(
    shares: Mapping[int, bytes], threshold: int, is_right: Callable[[bytes], bool]
) -> tuple[bytes, tuple[int, ...]] | None:
    """Return the secret that a quorum opens and `is_right` recognises, and the quorum, if there is one."""
    for quorum in combinations(sorted(shares), threshold):
        try:
            secret = opened_secret({x: shares[x] for x in quorum}, threshold)
        except Refused:
            continue
        if is_right(secret):
            return secret, quorum
    return None


def on_polynomial(shares: Mapping[int, bytes], quorum: Sequence[int], x: int) -> bool:
    """Return whether the share at `x` lies on the polynomial through the quorum's."""
    if x in quorum:
        return True
    through = {point: shares[point] for point in (*quorum[1:], x)}
    return interpolate_at_zero(through) == interpolate_at_zero({point: shares[point] for point in quorum})


def _route(session: bytes, source: str, destination: str) -> tuple[bytes, bytes, bytes]:
    return session, source.encode(), destination.encode()


def sealed(plaintext: bytes, private: bytes, public: bytes, route: tuple[bytes, str, str]) -> bytes:
    """Return two shares sealed for one route: session, source, destination."""
    parts = _route(*route)
    key = derived(agreed(private, public), "fecosr/v1/channel-key", *parts)
    return AESGCM(key).encrypt(bytes(12), plaintext, encoding("fecosr/v1/share-aad", *parts))


def unsealed(ciphertext: bytes, private: bytes, public: bytes, route: tuple[bytes, str, str]) -> bytes:
    """Return what was sealed for this route."""
    parts = _route(*route)
    key = derived(agreed(private, public), "fecosr/v1/channel-key", *parts)
    try:
        return AESGCM(key).decrypt(bytes(12), ciphertext, encoding("fecosr/v1/share-aad", *parts))
    except InvalidTag:
        raise Refused("unreadable_share", route[1]) from None


def self_mask(seed: bytes, session: bytes, length: int) -> list[int]:
    """Return a client's own mask."""
    return mask_elements(derived(seed, "fecosr/v1/self-mask", session), length)


def pair_mask(private: bytes, public: bytes, session: bytes, pair: tuple[str, str], length: int) -> list[int]:
    """Return the mask that the first of the pair, whose private key this is, adds to its vector."""
    lower, higher = sorted(pair)
    secret = agreed(private, public)
    key = derived(secret, "fecosr/v1/pairwise-mask", session, lower.encode(), higher.encode())
    sign = 1 if pair[0] == lower else -1
    return [sign * element for element in mask_elements(key, length)]


def packed(elements: Sequence[int], ring_bits: int) -> bytes:
    """Return the elements as they travel: the low bytes of each, lowest first."""
    return b"".join((element % 2**ring_bits).to_bytes(ring_bits // 8, "little") for element in elements)


def unpacked(octets: bytes, ring_bits: int) -> list[int]:
    """Return the elements that these bytes hold."""
    size = ring_bits // 8
    return [int.from_bytes(octets[i : i + size], "little") for i in range(0, len(octets), size)]


def threshold_of(num_clients: int, max_colluding: int) -> int:
    """Return the smallest t with 2 t > num_clients + max_colluding."""
    return next(t for t in range(1, num_clients + max_colluding + 2) if 2 * t > num_clients + max_colluding)
