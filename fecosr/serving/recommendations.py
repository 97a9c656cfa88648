"""From histories to recommendations, block by block: memory does not grow with the number of users."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

import numpy as np
import polars as pl

from fecosr.errors import ConfigError, StorageError
from fecosr.serving.evaluation import Advance, scorer_of
from fecosr.serving.histories import Histories
from fecosr.serving.market_model import ServedModel
from fecosr.serving.ranking import NO_ITEM, best_items
from fecosr.storage.atomic_files import PARTIAL_SUFFIX, sync_folder

SCHEMA: Final = {"user": pl.String, "rank": pl.Int32, "item": pl.String, "score": pl.Float32}
_BLOCK_SCORES: Final = 1 << 22
_ENDINGS: Final = (".parquet", ".csv")


def recommend(
    served: ServedModel, histories: Histories, k: int, *, keep_seen: bool, advance: Advance
) -> Iterator[pl.DataFrame]:
    """Yield the best k items of each user, users in the order of `histories`, best item first.

    Cold items whose vectors carry no meaning are never among them.

    Args:
        served: the model.
        histories: of the users.
        k: most items of a user; who has seen nearly everything gets fewer.
        keep_seen: recommend also what a user has bought already.
        advance: is told about progress.

    Yields:
        tables with the columns of `SCHEMA`.
    """
    score = scorer_of(served)
    allowed = served.meaningful()  # [V]
    item_ids = np.array(served.catalogue.items.item_ids, dtype=object)
    size = max(1, _BLOCK_SCORES // len(item_ids))
    for start in range(0, len(histories.user_ids), size):
        users, seen = histories.user_ids[start : start + size], histories.sequences[start : start + size]
        scores = score(seen)  # [B, V]
        best = best_items(scores, k, seen=None if keep_seen else seen, allowed=allowed)  # [B, k]
        row, place = np.nonzero(best != NO_ITEM)
        items = best[row, place]
        yield pl.DataFrame(
            {
                "user": [users[number] for number in row],
                "rank": place + 1,
                "item": item_ids[items],
                "score": scores[row, items],
            },
            schema=SCHEMA,
        )
        advance(len(users))


def check_out(out: Path) -> None:
    """Refuse a file that `write_file` could not write, before any work is done.

    Raises:
        ConfigError: its ending says no format, or its folder is not there.
    """
    if out.suffix.lower() not in _ENDINGS:
        raise ConfigError("its format is not known", remedy="end it in .parquet or .csv", source=str(out))
    if not out.parent.is_dir() or out.is_dir():
        raise ConfigError("cannot be written", remedy="name a file in an existing folder", source=str(out))


def write_file(blocks: Iterable[pl.DataFrame], out: Path) -> int:
    """Replace the file `out` by all blocks at once and return how many rows it has.

    Raises:
        StorageError: the disk refused; the old file, if there was one, still stands.
    """
    partial = out.with_name(f".{out.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            parts, num_rows = _write_parts(blocks, Path(folder))
            whole = pl.scan_parquet(parts)
            if out.suffix.lower() == ".csv":
                whole.sink_csv(partial)
            else:
                whole.sink_parquet(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(out)
        sync_folder(out.parent)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise StorageError(f"{out}: cannot be written: {reason}") from None
    finally:
        partial.unlink(missing_ok=True)
    return num_rows


def write_stream(blocks: Iterable[pl.DataFrame], stream: IO[str]) -> int:
    """Write all blocks as one CSV table to an open stream and return how many rows it has."""
    stream.write(",".join(SCHEMA) + "\n")
    num_rows = 0
    for block in blocks:
        stream.write(block.write_csv(include_header=False))
        num_rows += block.height
    return num_rows


def _write_parts(blocks: Iterable[pl.DataFrame], folder: Path) -> tuple[list[Path], int]:
    """Write one Parquet file per block, at least an empty one, and count rows."""
    parts, num_rows = [folder / "part-0.parquet"], 0
    pl.DataFrame(schema=SCHEMA).write_parquet(parts[0])
    for number, block in enumerate(blocks, start=1):
        parts.append(folder / f"part-{number}.parquet")
        block.write_parquet(parts[-1])
        num_rows += block.height
    return parts, num_rows
