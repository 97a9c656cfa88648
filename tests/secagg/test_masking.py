import numpy as np
import pytest

from fecosr.crypto.prg import BLOCK_ELEMENTS, add_keystreams, expand
from fecosr.ids import NodeId
from fecosr.secagg.encoding import UpdateEncoding
from fecosr.secagg.masking import (
    dropout_mask_removals,
    masked,
    pairwise_mask_seed,
    pairwise_sign,
    self_mask_removals,
    self_mask_seed,
)
from fecosr.secagg.packing import add_packed, reduce_to_ring
from fecosr.secagg.secrets import ClientSecrets, derive_secrets
from tests.reference.masks import masked_elements

SESSION = b"\x33" * 32
NAMES = [NodeId(name) for name in ("a", "b", "c", "d")]


def secrets_of(client: NodeId) -> ClientSecrets:
    return derive_secrets(client.encode() * 32, bytes(32), client)


def publics(clients: list[NodeId]) -> dict[NodeId, bytes]:
    return {client: secrets_of(client).mask_key.public for client in clients}


def masked_vector_of(
    client: NodeId, vector: np.ndarray[tuple[int], np.dtype[np.uint32]]
) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    peers = publics([peer for peer in NAMES if peer != client])
    return masked(vector, secrets_of(client), peers, SESSION, client)


@pytest.mark.parametrize("client", NAMES)
def test_masking_equals_the_reference(client: NodeId) -> None:
    vector = np.arange(50, dtype=np.uint32) * np.uint32(90_000_000)
    secrets = secrets_of(client)
    peers = publics([peer for peer in NAMES if peer != client])
    expected = masked_elements(
        vector.tolist(), (secrets.seed, secrets.mask_key.secret), peers, SESSION, client
    )
    before = vector.copy()
    assert masked(vector, secrets, peers, SESSION, client).tolist() == expected
    assert np.array_equal(vector, before)


def test_both_ends_of_a_pair_make_the_same_mask_with_opposite_signs() -> None:
    a, b = secrets_of(NAMES[0]).mask_key, secrets_of(NAMES[1]).mask_key
    assert pairwise_mask_seed(a, b.public, SESSION, NAMES[0], NAMES[1]) == pairwise_mask_seed(
        b, a.public, SESSION, NAMES[1], NAMES[0]
    )
    assert pairwise_sign(NAMES[0], NAMES[1]) == -pairwise_sign(NAMES[1], NAMES[0])


def test_pairwise_masks_cancel_in_the_sum_of_all() -> None:
    vectors = {client: np.full(20, i + 7, dtype=np.uint32) for i, client in enumerate(NAMES)}
    total = np.zeros(20, dtype=np.uint32)
    for client, vector in vectors.items():
        total += masked_vector_of(client, vector)
        add_keystreams(total, self_mask_removals([secrets_of(client).seed], SESSION))
    assert total.tolist() == sum(vectors.values(), start=np.zeros(20, dtype=np.uint32)).tolist()


def test_a_dropouts_masks_are_removed_with_its_key() -> None:
    vectors = {client: np.full(20, i + 7, dtype=np.uint32) for i, client in enumerate(NAMES)}
    gone, stay = NAMES[1], [NAMES[0], NAMES[2], NAMES[3]]
    total = np.zeros(20, dtype=np.uint32)
    for client in stay:
        total += masked_vector_of(client, vectors[client])
        add_keystreams(total, self_mask_removals([secrets_of(client).seed], SESSION))
    assert total.tolist() != [7 + 9 + 10] * 20
    add_keystreams(total, dropout_mask_removals(secrets_of(gone).mask_key, gone, publics(stay), SESSION))
    assert total.tolist() == [7 + 9 + 10] * 20


def test_masks_of_another_session_do_not_cancel() -> None:
    a, b = secrets_of(NAMES[0]).mask_key, secrets_of(NAMES[1]).mask_key
    here = pairwise_mask_seed(a, b.public, SESSION, NAMES[0], NAMES[1])
    assert here != pairwise_mask_seed(b, a.public, bytes(32), NAMES[1], NAMES[0])
    assert self_mask_seed(bytes(32), SESSION) != self_mask_seed(bytes(32), bytes(32))


def test_a_masked_vector_looks_uniform() -> None:
    vector = np.zeros(20_000, dtype=np.uint32)
    ones = np.unpackbits(masked_vector_of(NAMES[0], vector).view(np.uint8)).mean()
    # 640,000 fair coins: standard deviation 0.000625.
    assert abs(ones - 0.5) < 0.004


@pytest.mark.parametrize("num_parameters", [7, BLOCK_ELEMENTS - 2, BLOCK_ELEMENTS, 2 * BLOCK_ELEMENTS + 5])
def test_encoding_while_masking_equals_encoding_first(num_parameters: int) -> None:
    encoding = UpdateEncoding(num_parameters, clip_norm=1.0, num_summands=4, max_loss=8.0)
    update = np.linspace(-1.0, 1.0, num_parameters, dtype=np.float32) / np.float32(num_parameters)
    secrets, peers = secrets_of(NAMES[1]), publics([NAMES[0], NAMES[2]])
    at_once = masked(encoding.prepare(update, 0.3, 2.0, SESSION), secrets, peers, SESSION, NAMES[1])
    first = masked(encoding.encode(update, 0.3, 2.0, SESSION), secrets, peers, SESSION, NAMES[1])
    assert np.array_equal(at_once, first)


@pytest.mark.parametrize("ring_bits", [24, 16])
def test_masks_cancel_in_a_small_ring(ring_bits: int) -> None:
    vectors = {client: expand(client.encode() * 32, 70) for client in NAMES}
    total = np.zeros(70, dtype=np.uint32)
    for client, vector in vectors.items():
        peers = publics([peer for peer in NAMES if peer != client])
        travelling = masked(vector, secrets_of(client), peers, SESSION, client, ring_bits)
        assert travelling.nbytes == 70 * ring_bits // 8
        expected = masked_elements(
            vector.tolist(),
            (secrets_of(client).seed, secrets_of(client).mask_key.secret),
            peers,
            SESSION,
            client,
        )
        in_order = [(x % 2**ring_bits).to_bytes(ring_bits // 8, "little") for x in expected]
        assert travelling.tobytes() == b"".join(in_order)
        add_packed(total, travelling)
    add_keystreams(total, self_mask_removals([secrets_of(client).seed for client in NAMES], SESSION))
    reduce_to_ring(total, ring_bits)
    columns = zip(*(vector.tolist() for vector in vectors.values()), strict=True)
    assert total.tolist() == [sum(column) % 2**ring_bits for column in columns]
