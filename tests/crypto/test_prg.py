from typing import Any

import numpy as np
import pytest

from fecosr.crypto import prg
from fecosr.errors import MisuseError
from tests.reference.primitives import ctr_keystream, mask_elements

SEED = bytes(range(32))


def test_the_reference_gives_the_known_answer(vectors: dict[str, Any]) -> None:
    case = {name: bytes.fromhex(value) for name, value in vectors["aes256_ctr"].items() if name != "source"}
    stream = ctr_keystream(case["key"], int.from_bytes(case["counter"], "big"), 64)
    assert bytes(a ^ b for a, b in zip(case["plaintext"], stream, strict=True)) == case["ciphertext"]


def test_the_first_block_is_the_known_answer(vectors: dict[str, Any]) -> None:
    case = vectors["aes256_zero_block"]
    assert prg.expand(bytes.fromhex(case["key"]), 4).astype("<u4").tobytes().hex() == case["block"]


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 1000])
def test_expansion_equals_the_reference(length: int) -> None:
    assert prg.expand(SEED, length).tolist() == mask_elements(SEED, length)


def test_expansion_goes_on_over_the_end_of_the_scratch_buffer() -> None:
    length = (1 << 18) + 9
    tail = ctr_keystream(SEED, (1 << 20) // 16 - 1, 16 + 36)
    assert prg.expand(SEED, length)[-13:].astype("<u4").tobytes() == tail


def test_a_shorter_vector_is_a_prefix() -> None:
    assert np.array_equal(prg.expand(SEED, 300_000)[:17], prg.expand(SEED, 17))


def test_adding_wraps_and_subtracting_undoes_it() -> None:
    vector = np.arange(100, dtype=np.uint32) * np.uint32(40_000_000)
    before = vector.tolist()
    prg.add_keystream(vector, SEED, 1)
    expected = [(a + b) % 2**32 for a, b in zip(before, mask_elements(SEED, 100), strict=True)]
    assert vector.tolist() == expected
    prg.add_keystream(vector, SEED, -1)
    assert vector.tolist() == before


def test_misuse_is_refused() -> None:
    good = np.zeros(4, dtype=np.uint32)
    readonly = good.copy()
    readonly.flags.writeable = False
    wrong_arrays: list[Any] = [np.zeros(4, dtype=np.int32), np.zeros((2, 2), dtype=np.uint32), readonly]
    wrong_arrays.append(np.zeros(8, dtype=np.uint32)[::2])
    for wrong in wrong_arrays:
        with pytest.raises(MisuseError):
            prg.add_keystream(wrong, SEED, 1)
    with pytest.raises(MisuseError):
        prg.add_keystream(good, bytes(16), 1)
    with pytest.raises(MisuseError):
        prg.add_keystream(good, SEED, 0)
    with pytest.raises(MisuseError):
        prg.expand(SEED, -1)
    assert not good.any()


def test_a_keystream_can_be_entered_in_the_middle() -> None:
    block = np.empty(9, dtype=np.uint32)
    prg.Keystream(SEED, 12).fill(block)
    assert block.tolist() == mask_elements(SEED, 21)[12:]
    for start in (-4, 1, 6):
        with pytest.raises(MisuseError):
            prg.Keystream(SEED, start)


def test_many_keystreams_in_one_pass_equal_one_after_the_other() -> None:
    signed_seeds = [(bytes([i]) * 32, 1 if i % 2 else -1) for i in range(5)]
    length = 2 * prg.BLOCK_ELEMENTS + 3
    at_once = np.arange(length, dtype=np.uint32)
    one_by_one = at_once.copy()
    prg.add_keystreams(at_once, signed_seeds)
    for seed, sign in signed_seeds:
        prg.add_keystream(one_by_one, seed, sign)
    assert np.array_equal(at_once, one_by_one)
    assert at_once[-3:].tolist() != list(range(length - 3, length))


def test_a_bad_seed_among_good_ones_changes_nothing() -> None:
    vector = np.zeros(4, dtype=np.uint32)
    with pytest.raises(MisuseError):
        prg.add_keystreams(vector, [(SEED, 1), (SEED, 2)])
    with pytest.raises(MisuseError):
        prg.add_keystreams(vector, [(SEED, 1), (SEED[:-1], 1)])
    assert not vector.any()
