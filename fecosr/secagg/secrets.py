"""What a client must keep to itself during one session, all of it from one draw of entropy."""

from dataclasses import dataclass, field
from typing import Final

from fecosr.crypto.key_agreement import PrivateKey, derive_key
from fecosr.crypto.labels import Label
from fecosr.errors import MisuseError
from fecosr.ids import NodeId

ENTROPY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ClientSecrets:
    """Hold a client's secrets of one session.

    Attributes:
        channel_key: opens the shares sealed to this client.
        mask_key: makes the pairwise masks; shared among the cohort.
        seed: makes the self mask; shared among the cohort.
        seed_sharing: entropy for sharing `seed`.
        mask_key_sharing: entropy for sharing `mask_key`.
    """

    channel_key: PrivateKey
    mask_key: PrivateKey
    seed: bytes = field(repr=False)
    seed_sharing: bytes = field(repr=False)
    mask_key_sharing: bytes = field(repr=False)


def derive_secrets(entropy: bytes, context: bytes, client: NodeId) -> ClientSecrets:
    """Return the secrets that follow from `entropy`; they differ with the context and the client.

    Raises:
        MisuseError: the entropy is not 32 bytes.
    """
    if len(entropy) != ENTROPY_BYTES:
        raise MisuseError(f"a session needs {ENTROPY_BYTES} bytes of entropy")

    def derive(purpose: bytes) -> bytes:
        return derive_key(entropy, Label.CLIENT_SECRETS, context, client.encode(), purpose)

    return ClientSecrets(
        channel_key=PrivateKey(derive(b"channel key")),
        mask_key=PrivateKey(derive(b"mask key")),
        seed=derive(b"self-mask seed"),
        seed_sharing=derive(b"sharing of the self-mask seed"),
        mask_key_sharing=derive(b"sharing of the mask key"),
    )
