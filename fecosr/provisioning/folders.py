"""Folders that appear whole or not at all, and files that are their owner's alone."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fecosr.errors import ConfigError
from fecosr.storage.atomic_files import sync_folder


def require_free(out: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        ConfigError: it does, or it is no folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(
            "is there already; kits are never overwritten", remedy="give a new folder", source=str(out)
        )


@contextmanager
def appearing_at_once(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` to write in, and make it `out` at the end; an error leaves nothing.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise unwritable(out, error) from None
    try:
        yield building
        # Renaming onto an empty folder replaces it; onto one that holds anything, it fails.
        building.rename(out)
    except OSError as error:
        raise unwritable(out, error) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def beside(kit: Path) -> Iterator[Path]:
    """Give a folder inside `kit` that nobody else may look into; it is gone afterwards.

    Raises:
        ConfigError: the kit cannot be written.
    """
    try:
        staged = Path(tempfile.mkdtemp(prefix=".accepting-", dir=kit))
    except OSError as error:
        raise unwritable(kit, error) from None
    try:
        yield staged
    except OSError as error:
        raise unwritable(kit, error) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def take_over(staged: Path, kit: Path, names: Iterable[str]) -> None:
    """Move the staged files into the kit, each at once, all of them on the disk when this returns."""
    (kit / "tls").mkdir(mode=0o700, exist_ok=True)
    for name in names:
        with (staged / name).open("rb") as file:
            os.fsync(file.fileno())
        (staged / name).replace(kit / name)
    sync_folder(kit / "tls")
    sync_folder(kit)


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that was never readable by anybody else, not even for a moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def unwritable(out: Path, error: OSError) -> ConfigError:
    """Return the error that says that `out` cannot be written."""
    return ConfigError(
        f"cannot be written: {error.strerror}", remedy="choose another folder", source=str(out)
    )
