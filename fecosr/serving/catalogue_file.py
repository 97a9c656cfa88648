"""A market's catalogue as a Parquet file: one row per item, in the order of the model's rows."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from fecosr.data.catalogue import Catalogue
from fecosr.errors import ConfigError, MisuseError
from fecosr.serving.facts import SemanticsFacts

_SCHEMA: Final = {"item": pl.String, "title": pl.String, "in_training": pl.Boolean}


@dataclass(frozen=True, slots=True, eq=False)
class ServedCatalogue:
    """Hold the items a model can score.

    Attributes:
        items: V of them, by id.
        in_training: bool [V]; the others are cold: they are known by their semantics alone.
    """

    items: Catalogue
    in_training: npt.NDArray[np.bool_] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a mask of another length."""
        if self.in_training.shape != (len(self.items),):
            raise MisuseError("in_training needs one entry per item")

    def meaningful(self, semantics: SemanticsFacts) -> npt.NDArray[np.bool_]:
        """Return of which items a score says something, bool [V].

        Of trained ones, and of cold ones that have a text or a vector that somebody gave.
        """
        titles = self.items.titles
        if semantics.of_every_item:
            return np.ones_like(self.in_training)
        if not semantics.has_text or titles is None:
            return self.in_training
        return self.in_training | np.array([bool(title) for title in titles], dtype=np.bool_)


def catalogue_bytes(catalogue: ServedCatalogue) -> bytes:
    """Return the file's contents; the same catalogue gives the same bytes."""
    titles = catalogue.items.titles or [None] * len(catalogue.items)
    values = {"item": catalogue.items.item_ids, "title": titles, "in_training": catalogue.in_training}
    buffer = io.BytesIO()
    pl.DataFrame(values, schema=_SCHEMA).write_parquet(buffer)
    return buffer.getvalue()


def parse_catalogue(contents: bytes, path: Path) -> ServedCatalogue:
    """Return the catalogue in `contents`, whose hash is known to be right; `path` is only named in errors.

    Raises:
        ConfigError: it is no such catalogue.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(contents))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        raise _unusable("is no Parquet file", path) from None
    if dict(frame.schema) != _SCHEMA:
        raise _unusable(f"does not have exactly the columns {', '.join(_SCHEMA)}", path)
    if frame["item"].null_count() or frame["in_training"].null_count():
        raise _unusable("has rows without an item or without in_training", path)
    has_titles = frame["title"].null_count() == 0 and not frame.is_empty()
    if not has_titles and frame["title"].null_count() != frame.height:
        raise _unusable("has titles in some rows only", path)
    titles = tuple(frame["title"].to_list()) if has_titles else None
    try:
        items = Catalogue(tuple(frame["item"].to_list()), titles)
    except MisuseError as error:
        raise _unusable(str(error), path) from None
    return ServedCatalogue(items, frame["in_training"].to_numpy())


def _unusable(message: str, path: Path) -> ConfigError:
    return ConfigError(message, remedy="copy the model folder again", source=str(path))
