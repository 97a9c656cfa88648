from pathlib import Path

import numpy as np
import pytest

from fecosr.errors import StorageError
from fecosr.federation.optimisers import Adaptive, OptimiserState
from fecosr.storage.optimiser_states import OptimiserStateStore


@pytest.fixture
def store(tmp_path: Path) -> OptimiserStateStore:
    return OptimiserStateStore(tmp_path / "optimiser")


@pytest.fixture
def state() -> OptimiserState:
    return Adaptive("adam", 0.1).init(5)


def file_of(store: OptimiserStateStore) -> Path:
    (path,) = store.folder.iterdir()
    return path


def test_a_state_comes_back_as_it_was(store: OptimiserStateStore, state: OptimiserState) -> None:
    loaded = store.load(store.save(state))
    assert loaded.hash() == state.hash()
    np.testing.assert_array_equal(loaded.moments["second"], state.moments["second"])


def test_a_state_without_moments_is_one_too(store: OptimiserStateStore) -> None:
    assert dict(store.load(store.save(OptimiserState())).moments) == {}


@pytest.mark.parametrize("damage", [b"", b"not a safetensors file"])
def test_a_damaged_file_is_refused(store: OptimiserStateStore, state: OptimiserState, damage: bytes) -> None:
    digest = store.save(state)
    file_of(store).write_bytes(damage)
    with pytest.raises(StorageError, match="whole safetensors"):
        store.load(digest)


def test_one_changed_bit_is_another_state(store: OptimiserStateStore, state: OptimiserState) -> None:
    digest = store.save(state)
    data = bytearray(file_of(store).read_bytes())
    data[-1] ^= 1
    file_of(store).write_bytes(data)
    with pytest.raises(StorageError, match="another state"):
        store.load(digest)


def test_a_missing_state_is_refused(store: OptimiserStateStore) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        store.load(bytes(32))


def test_all_but_one_are_forgotten(store: OptimiserStateStore, state: OptimiserState) -> None:
    store.save(OptimiserState())
    digest = store.save(state)
    store.forget_all_but(digest)
    assert store.load(digest).hash() == digest
    assert len(list(store.folder.iterdir())) == 1
