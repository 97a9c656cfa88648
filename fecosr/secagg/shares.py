"""What travels sealed between two clients: a share of a self-mask seed and a share of a mask key."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fecosr.crypto.aead import TAG_BYTES, open_sealed, seal
from fecosr.crypto.key_agreement import PrivateKey, derive_key
from fecosr.crypto.labels import Label, encode
from fecosr.crypto.shamir import SHARE_BYTES
from fecosr.errors import CryptoError
from fecosr.ids import NodeId

CIPHERTEXT_BYTES: Final = 2 * SHARE_BYTES + TAG_BYTES


class Secret(StrEnum):
    """Name the two secrets of a client that are shared."""

    SEED = "seed"
    MASK_KEY = "mask_key"


@dataclass(frozen=True, slots=True)
class SharePair:
    """Hold one holder's shares of one client's two secrets; at most one of them is ever revealed."""

    seed_share: bytes = field(repr=False)
    mask_key_share: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """Name the one message that `source` seals to `destination` in a session."""

    session: bytes
    source: NodeId
    destination: NodeId

    def channel_key(self, key: PrivateKey, public: bytes) -> bytes:
        """Return the key of this message alone, from one end's private and the other's public key.

        Raises:
            CryptoError: the public key is unusable.
        """
        return derive_key(
            key.agree(public),
            Label.CHANNEL_KEY,
            self.session,
            self.source.encode(),
            self.destination.encode(),
        )

    def associated_data(self) -> bytes:
        """Return what binds the ciphertext to its session, source and destination."""
        return encode(Label.SHARE_AAD, self.session, self.source.encode(), self.destination.encode())


def seal_pair(pair: SharePair, key: PrivateKey, public: bytes, route: Route) -> bytes:
    """Return the pair sealed with the source's private `key` to the destination's `public` key, 82 bytes.

    Raises:
        CryptoError: the destination's public key is unusable.
    """
    plaintext = pair.seed_share + pair.mask_key_share
    return seal(route.channel_key(key, public), plaintext, route.associated_data())


def open_pair(ciphertext: bytes, key: PrivateKey, public: bytes, route: Route) -> SharePair:
    """Return the pair, opened with the destination's private `key` and the source's `public` key.

    Raises:
        CryptoError: the source did not seal these bytes for this route.
    """
    plaintext = open_sealed(route.channel_key(key, public), ciphertext, route.associated_data())
    if len(plaintext) != 2 * SHARE_BYTES:
        raise CryptoError("a sealed pair of shares has the wrong size")
    return SharePair(plaintext[:SHARE_BYTES], plaintext[SHARE_BYTES:])
