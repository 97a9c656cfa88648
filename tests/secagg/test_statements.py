from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fecosr.crypto.labels import sha256
from fecosr.errors import CryptoError
from fecosr.ids import NodeId
from fecosr.secagg.messages import KeyAdvert
from fecosr.secagg.statements import (
    masked_input_statement,
    seed_commitment,
    session_id,
    signed_advert,
    survivors_statement,
    vector_digest,
    verify_advert,
)
from tests.reference.rehearsal import identity_of

CONTEXT = bytes(32)
A, B = NodeId("a"), NodeId("b")


def advert(client: NodeId = A) -> KeyAdvert:
    return signed_advert(CONTEXT, client, identity_of(client), (b"\1" * 32, b"\2" * 32), b"\3" * 32)


CHANGES: list[Callable[[KeyAdvert], KeyAdvert]] = [
    lambda it: replace(it, client=B),
    lambda it: replace(it, channel_public=b"\7" * 32),
    lambda it: replace(it, mask_public=b"\7" * 32),
    lambda it: replace(it, seed_commitment=b"\7" * 32),
    lambda it: replace(it, channel_public=it.mask_public, mask_public=it.channel_public),
    lambda it: replace(it, signature=bytes(64)),
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_field_of_an_advert_is_signed(change: Callable[[KeyAdvert], KeyAdvert]) -> None:
    verify_advert(CONTEXT, advert(), identity_of(A).public)
    with pytest.raises(CryptoError):
        verify_advert(CONTEXT, change(advert()), identity_of(A).public)


def test_an_advert_is_for_one_context_by_one_identity() -> None:
    with pytest.raises(CryptoError):
        verify_advert(b"\1" * 32, advert(), identity_of(A).public)
    with pytest.raises(CryptoError):
        verify_advert(CONTEXT, advert(), identity_of(B).public)


@pytest.mark.parametrize("change", CHANGES)
def test_every_field_of_every_advert_is_in_the_session_id(change: Callable[[KeyAdvert], KeyAdvert]) -> None:
    one, other = advert(A), advert(B)
    session = session_id(CONTEXT, [one, other])
    assert session != session_id(CONTEXT, [change(one), other])
    assert session != session_id(CONTEXT, [other, change(one)])


def test_the_session_id_depends_on_context_members_and_order() -> None:
    one, other = advert(A), advert(B)
    ids = {
        session_id(CONTEXT, [one, other]),
        session_id(CONTEXT, [other, one]),
        session_id(CONTEXT, [one]),
        session_id(b"\1" * 32, [one, other]),
    }
    assert len(ids) == 4


def test_a_commitment_is_to_seed_client_and_context() -> None:
    commitments = {
        seed_commitment(CONTEXT, A, bytes(32)),
        seed_commitment(CONTEXT, A, b"\1" * 32),
        seed_commitment(CONTEXT, B, bytes(32)),
        seed_commitment(b"\1" * 32, A, bytes(32)),
    }
    assert len(commitments) == 4


def test_a_digest_is_of_the_little_endian_bytes() -> None:
    vector = np.array([1, 2**31], dtype=np.uint32)
    assert vector_digest(vector) == sha256(bytes.fromhex("0100000000000080"))
    assert vector_digest(vector[::-1]) == sha256(bytes.fromhex("0000008001000000"))


def test_signed_statements_separate_sessions_clients_and_lists() -> None:
    statements = {
        masked_input_statement(bytes(32), A, bytes(32), bytes(32)),
        masked_input_statement(bytes(32), A, bytes(32), b"\2" * 32),
        masked_input_statement(bytes(32), B, bytes(32), bytes(32)),
        masked_input_statement(b"\1" * 32, A, bytes(32), bytes(32)),
        survivors_statement(bytes(32), (A, B)),
        survivors_statement(bytes(32), (NodeId("ab"),)),
        survivors_statement(b"\1" * 32, (A, B)),
        survivors_statement(bytes(32), (A,)),
    }
    assert len(statements) == 8
