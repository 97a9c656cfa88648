"""The floor does the work it claims: true keystreams, added up and taken out."""

import numpy as np

from fecosr.crypto.prg import expand
from fecosr.rpc.least_work import CoordinatorWork, NodeWork

SIZE_BYTES = 4 * 1000


def keystreams(count: int) -> np.ndarray:
    total = np.zeros(1000, dtype=np.uint32)
    for number in range(count):
        total += expand(bytes([number]) * 32, 1000)
    return total


def test_a_node_adds_one_keystream_for_itself_for_rounding_and_for_each_peer() -> None:
    work = NodeWork(SIZE_BYTES, num_nodes=3)
    work.take_in(b"part of a model")
    assert np.array_equal(np.frombuffer(work.upload(), np.uint32), keystreams(4))


def test_the_coordinator_adds_what_arrives_and_takes_one_mask_of_each_node_out() -> None:
    work = CoordinatorWork(SIZE_BYTES, num_nodes=2)
    octets = keystreams(2).tobytes()
    for _ in range(2):
        arrival = work.arrival()
        arrival.take_in(octets[:1200])
        arrival.take_in(octets[1200:])
        assert arrival.received_bytes == SIZE_BYTES
    assert np.array_equal(work._total, 2 * keystreams(2))
    work.open_sum()
    assert np.array_equal(work._total, keystreams(2))


def test_bare_streaming_does_none_of_it() -> None:
    node, coordinator = NodeWork(SIZE_BYTES, 0), CoordinatorWork(SIZE_BYTES, 0)
    node.take_in(b"part of a model")
    assert not any(node.upload())
    coordinator.arrival().take_in(bytes(range(8)))
    coordinator.open_sum()
    assert not coordinator._total.any()
