from typing import Any

import numpy as np
import pytest

from fecosr.crypto.prg import BLOCK_ELEMENTS, expand
from fecosr.errors import MisuseError
from fecosr.secagg.packing import (
    RING_BITS,
    add_packed,
    from_octets,
    is_packed,
    make_room,
    pack_into,
    packed_bytes,
    reduce_to_ring,
)

ELEMENTS = expand(bytes(range(32)), BLOCK_ELEMENTS + 11)


def packed(elements: np.ndarray[Any, np.dtype[np.uint32]], ring_bits: int) -> np.ndarray[Any, Any]:
    room = make_room(elements.size, ring_bits)
    pack_into(room, elements)
    return room


@pytest.mark.parametrize("ring_bits", RING_BITS)
def test_elements_travel_as_the_low_bytes_of_each(ring_bits: int) -> None:
    some = ELEMENTS[:50]
    octets = b"".join((x % 2**ring_bits).to_bytes(ring_bits // 8, "little") for x in some.tolist())
    assert packed(some, ring_bits).tobytes() == octets
    assert len(octets) == packed_bytes(50, ring_bits)


@pytest.mark.parametrize("ring_bits", RING_BITS)
def test_packed_elements_are_added_modulo_the_ring(ring_bits: int) -> None:
    total = np.full(ELEMENTS.size, 2**32 - 1, dtype=np.uint32)
    travelled = from_octets(packed(ELEMENTS, ring_bits).tobytes(), ring_bits)
    add_packed(total, travelled)
    add_packed(total, travelled)
    reduce_to_ring(total, ring_bits)
    assert total.tolist() == [(2 * x - 1) % 2**ring_bits for x in ELEMENTS.tolist()]


@pytest.mark.parametrize("ring_bits", RING_BITS)
def test_no_packing_passes_for_another(ring_bits: int) -> None:
    some = packed(ELEMENTS[:12], ring_bits)
    assert is_packed(some, 12, ring_bits)
    assert not is_packed(some, 11, ring_bits)
    assert not any(is_packed(some, 12, other) for other in RING_BITS if other != ring_bits)
    assert not is_packed(some.astype(np.int64), 12, ring_bits)


def test_what_cannot_be_packed_is_refused() -> None:
    with pytest.raises(MisuseError):
        make_room(4, 20)
    with pytest.raises(MisuseError):
        from_octets(bytes(6), 8)
    for ring_bits in RING_BITS:
        with pytest.raises(MisuseError):
            from_octets(bytes(13), ring_bits)
