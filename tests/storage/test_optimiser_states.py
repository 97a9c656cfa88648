import numpy as np
import pytest

from fecosr.errors import StorageError
from fecosr.federation.optimisers import Adaptive, OptimiserState
from fecosr.storage.archive import Archive, Files
from fecosr.storage.optimiser_states import OptimiserStateStore


@pytest.fixture
def files(archive: Archive) -> Files:
    return archive.files("optimiser")


@pytest.fixture
def store(files: Files) -> OptimiserStateStore:
    return OptimiserStateStore(files)


@pytest.fixture
def state() -> OptimiserState:
    return Adaptive("adam", 0.1).init(5)


def test_a_state_comes_back_as_it_was(store: OptimiserStateStore, state: OptimiserState) -> None:
    loaded = store.load(store.save(state))
    assert loaded.hash() == state.hash()
    np.testing.assert_array_equal(loaded.moments["second"], state.moments["second"])


def test_a_state_without_moments_is_one_too(store: OptimiserStateStore) -> None:
    assert dict(store.load(store.save(OptimiserState())).moments) == {}


@pytest.mark.parametrize("damage", [b"", b"not a safetensors file"])
def test_a_damaged_file_is_refused(
    files: Files, store: OptimiserStateStore, state: OptimiserState, damage: bytes
) -> None:
    digest = store.save(state)
    files.write(files.names()[0], damage)
    with pytest.raises(StorageError, match="whole safetensors"):
        store.load(digest)


def test_one_changed_bit_is_another_state(
    files: Files, store: OptimiserStateStore, state: OptimiserState
) -> None:
    digest = store.save(state)
    data = bytearray(files.read(files.names()[0]))
    data[-1] ^= 1
    files.write(files.names()[0], bytes(data))
    with pytest.raises(StorageError, match="another state"):
        store.load(digest)


def test_a_missing_state_is_refused(store: OptimiserStateStore) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        store.load(bytes(32))


def test_all_but_one_are_forgotten(files: Files, store: OptimiserStateStore, state: OptimiserState) -> None:
    store.save(OptimiserState())
    digest = store.save(state)
    store.forget_all_but(digest)
    assert store.load(digest).hash() == digest
    assert len(files.names()) == 1
