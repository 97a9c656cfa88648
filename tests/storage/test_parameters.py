import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from fecosr.errors import MisuseError, StorageError
from fecosr.federation.aggregation import parameters_hash
from fecosr.storage.archive import Archive, Files, FolderFiles
from fecosr.storage.parameters import ModelStore, read_parameters, write_parameters

PARAMETERS: npt.NDArray[np.float32] = np.array([0.0, 1 / 3, -2 / 3, 1e-40, 1e38], dtype=np.float32)
DIGEST = parameters_hash(PARAMETERS)
NAME = f"{DIGEST.hex()}.safetensors"


@pytest.fixture
def files(archive: Archive) -> Files:
    return archive.files("models")


@pytest.fixture
def store(files: Files) -> ModelStore:
    return ModelStore(files)


def test_a_model_is_named_by_the_hash_of_its_little_endian_bytes(files: Files, store: ModelStore) -> None:
    digest = hashlib.sha256(PARAMETERS.astype("<f4").tobytes()).digest()
    assert digest == DIGEST
    store.save(digest, PARAMETERS, {"round": "3"})
    assert files.names() == [NAME]
    assert store.load(digest).tobytes() == PARAMETERS.tobytes()
    assert digest in store
    assert b"\x00" * 32 not in store


def test_metadata_is_in_the_file_but_not_in_the_hash(tmp_path: Path) -> None:
    store = ModelStore(FolderFiles(tmp_path))
    store.save(DIGEST, PARAMETERS, {"round": "3"})
    store.save(DIGEST, PARAMETERS, {"round": "4"})
    with safe_open(tmp_path / NAME, framework="np") as file:
        assert file.metadata() == {"round": "4"}
        assert list(file.keys()) == ["shared"]


def test_a_view_is_stored_as_what_it_shows(tmp_path: Path) -> None:
    write_parameters(tmp_path / "m", np.arange(10, dtype=np.float32)[::2], {})
    assert read_parameters(tmp_path / "m").tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    "bad",
    [
        np.array([1, np.nan], dtype=np.float32),
        np.array([np.inf], dtype=np.float32),
        np.ones(3),
        np.ones((2, 2), dtype=np.float32),
        np.ones(0, dtype=np.float32),
    ],
)
def test_anything_but_a_finite_float32_vector_is_refused(
    tmp_path: Path, store: ModelStore, bad: npt.NDArray[np.float32]
) -> None:
    with pytest.raises(MisuseError, match="finite"):
        store.save(DIGEST, bad, {})
    save_file({"shared": bad}, tmp_path / "m")
    with pytest.raises(StorageError, match="finite"):
        read_parameters(tmp_path / "m")


def test_another_tensor_beside_it_is_refused(tmp_path: Path) -> None:
    save_file({"shared": PARAMETERS, "item_table": PARAMETERS}, tmp_path / "m")
    with pytest.raises(StorageError, match="exactly one"):
        read_parameters(tmp_path / "m")


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    store = ModelStore(FolderFiles(tmp_path))
    store.save(DIGEST, PARAMETERS, {})
    path = tmp_path / NAME
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            loaded = store.load(DIGEST)
        except StorageError:
            continue
        assert loaded.tobytes() == PARAMETERS.tobytes()


@pytest.mark.parametrize("lost", [1, 10, 60])
def test_a_truncated_file_is_refused(files: Files, store: ModelStore, lost: int) -> None:
    store.save(DIGEST, PARAMETERS, {})
    files.write(NAME, files.read(NAME)[:-lost])
    with pytest.raises(StorageError, match="safetensors"):
        store.load(DIGEST)


def test_other_parameters_under_the_same_name_are_refused(files: Files, store: ModelStore) -> None:
    store.save(parameters_hash(-PARAMETERS), -PARAMETERS, {})
    files.write(NAME, files.read(files.names()[0]))
    with pytest.raises(StorageError, match="other parameters"):
        store.load(DIGEST)


def test_a_missing_model_is_named(store: ModelStore) -> None:
    with pytest.raises(StorageError, match="0000"):
        store.load(b"\x00" * 32)


def test_a_crash_before_the_rename_leaves_the_old_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(self: Path, target: Path) -> None:
        raise Killed

    store = ModelStore(FolderFiles(tmp_path))
    store.save(DIGEST, PARAMETERS, {"round": "1"})
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", die)
        with pytest.raises(Killed):
            store.save(DIGEST, -PARAMETERS, {"round": "2"})
    again = ModelStore(FolderFiles(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert again.load(DIGEST).tobytes() == PARAMETERS.tobytes()
