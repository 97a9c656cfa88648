"""What a node sends in one round: the packed vector, and little besides."""

import pytest

from fecosr.federation.messages import FromClient
from fecosr.secagg.encoding import UpdateEncoding
from fecosr.secagg.messages import MaskedInput, Phase
from fecosr.secagg.packing import packed_bytes
from fecosr.wire.control import encode_node_message
from fecosr.wire.transfers import CHUNK_BYTES, UploadHeader, encode_upload_chunk
from tests.reference.rehearsal import Rehearsal, rehearse

NUM_PARAMETERS = 10_000_000
FULL_CHUNK = memoryview(bytes(CHUNK_BYTES))


def bytes_besides(play: Rehearsal, vector_bytes: int) -> int:
    """Return the most that a client of this session sends besides a vector of so many bytes."""
    sent = dict.fromkeys(play.roster, 0)
    framing = (len(encode_upload_chunk(FULL_CHUNK)) - CHUNK_BYTES) * -(-vector_bytes // CHUNK_BYTES)
    for client, said in ((client, said) for phase in Phase for client, said in play.said[phase].items()):
        if isinstance(said, MaskedInput):
            header = UploadHeader(1, 1, vector_bytes, bytes(32), said.signature)
            sent[client] += len(encode_upload_chunk(header)) + framing
        else:
            sent[client] += len(encode_node_message(FromClient(1, 1, said)))
    return max(sent.values())


@pytest.fixture(
    scope="module",
    params=[5, 70, pytest.param(64, marks=pytest.mark.slow), pytest.param(200, marks=pytest.mark.slow)],
)
def session(request: pytest.FixtureRequest) -> Rehearsal:
    """A small cohort and a sparse one; the largest complete graph, and a larger sparse one."""
    num_clients = request.param
    return rehearse(num_clients, n_min=3 + num_clients // 10, max_colluding=num_clients // 10)


@pytest.mark.parametrize(("ring_bits", "most"), [(32, 4.0), (24, 3.0), (16, 2.0)])
def test_a_node_sends_the_bytes_of_its_ring_and_at_most_60_kb(
    session: Rehearsal, ring_bits: int, most: float
) -> None:
    encoding = UpdateEncoding(NUM_PARAMETERS, 10.0, len(session.roster), 20.0, ring_bits)
    vector_bytes = packed_bytes(encoding.length, ring_bits)
    assert vector_bytes >= NUM_PARAMETERS * most
    total = vector_bytes + bytes_besides(session, vector_bytes)
    assert total <= NUM_PARAMETERS * most + 60_000
