import pytest

from fecosr.errors import MisuseError
from fecosr.ids import NodeId
from fecosr.secagg.secrets import derive_secrets

ENTROPY = bytes(range(32))
ME = NodeId("me")


def test_all_five_secrets_differ() -> None:
    secrets = derive_secrets(ENTROPY, bytes(32), ME)
    values = {
        secrets.channel_key.secret,
        secrets.mask_key.secret,
        secrets.seed,
        secrets.seed_sharing,
        secrets.mask_key_sharing,
        ENTROPY,
    }
    assert len(values) == 6


def test_secrets_follow_entropy_context_and_client() -> None:
    seeds = {
        derive_secrets(ENTROPY, bytes(32), ME).seed,
        derive_secrets(bytes(32), bytes(32), ME).seed,
        derive_secrets(ENTROPY, b"\1" * 32, ME).seed,
        derive_secrets(ENTROPY, bytes(32), NodeId("you")).seed,
    }
    assert len(seeds) == 4
    assert derive_secrets(ENTROPY, bytes(32), ME) == derive_secrets(ENTROPY, bytes(32), ME)


def test_short_entropy_is_refused() -> None:
    with pytest.raises(MisuseError):
        derive_secrets(bytes(31), bytes(32), ME)


def test_secrets_never_show() -> None:
    secrets = derive_secrets(ENTROPY, bytes(32), ME)
    shown = repr(secrets)
    for secret in (
        secrets.seed,
        secrets.channel_key.secret,
        secrets.mask_key.secret,
        secrets.seed_sharing,
        secrets.mask_key_sharing,
    ):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
