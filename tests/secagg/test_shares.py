from dataclasses import replace

import pytest

from fecosr.crypto.aead import seal
from fecosr.crypto.key_agreement import PrivateKey
from fecosr.errors import CryptoError
from fecosr.ids import NodeId
from fecosr.secagg.shares import CIPHERTEXT_BYTES, Route, SharePair, open_pair, seal_pair

SOURCE, DESTINATION = PrivateKey(b"\1" * 32), PrivateKey(b"\2" * 32)
ROUTE = Route(b"\3" * 32, NodeId("a"), NodeId("b"))
PAIR = SharePair(b"\4" * 33, b"\5" * 33)


def test_the_destination_opens_what_the_source_sealed() -> None:
    sealed = seal_pair(PAIR, SOURCE, DESTINATION.public, ROUTE)
    assert len(sealed) == CIPHERTEXT_BYTES
    assert open_pair(sealed, DESTINATION, SOURCE.public, ROUTE) == PAIR


@pytest.mark.parametrize(
    "route",
    [
        replace(ROUTE, session=bytes(32)),
        replace(ROUTE, source=NodeId("b"), destination=NodeId("a")),
        replace(ROUTE, source=NodeId("c")),
        replace(ROUTE, destination=NodeId("c")),
    ],
)
def test_nothing_opens_on_another_route(route: Route) -> None:
    sealed = seal_pair(PAIR, SOURCE, DESTINATION.public, ROUTE)
    with pytest.raises(CryptoError):
        open_pair(sealed, DESTINATION, SOURCE.public, route)


def test_nobody_else_opens_it() -> None:
    sealed = seal_pair(PAIR, SOURCE, DESTINATION.public, ROUTE)
    with pytest.raises(CryptoError):
        open_pair(sealed, PrivateKey(b"\7" * 32), SOURCE.public, ROUTE)
    with pytest.raises(CryptoError):
        open_pair(sealed, DESTINATION, PrivateKey(b"\7" * 32).public, ROUTE)


def test_each_direction_has_its_own_key() -> None:
    back = Route(ROUTE.session, ROUTE.destination, ROUTE.source)
    assert ROUTE.channel_key(SOURCE, DESTINATION.public) != back.channel_key(SOURCE, DESTINATION.public)
    assert ROUTE.channel_key(SOURCE, DESTINATION.public) == ROUTE.channel_key(DESTINATION, SOURCE.public)


def test_a_pair_of_another_size_is_refused() -> None:
    key = ROUTE.channel_key(SOURCE, DESTINATION.public)
    sealed = seal(key, bytes(65), ROUTE.associated_data())
    with pytest.raises(CryptoError):
        open_pair(sealed, DESTINATION, SOURCE.public, ROUTE)


def test_shares_never_show() -> None:
    assert "4" not in repr(PAIR)
    assert "x04" not in repr(PAIR)
