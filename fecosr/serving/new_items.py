"""Items that came after the training: titles, given vectors or other markets' users say where they belong."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from fecosr.data.catalogue import Catalogue
from fecosr.errors import ConfigError, DataError, OtherSemanticSpace, StorageError
from fecosr.federation.aggregation import parameters_hash
from fecosr.recommender.model import MarketModel
from fecosr.recommender.semantics import NO_ACCESS, EmbeddingAccess, FloatArray, catalogue_semantics
from fecosr.serving.catalogue_file import ServedCatalogue
from fecosr.serving.facts import SemanticsFacts
from fecosr.serving.histories import read_table
from fecosr.serving.market_model import ServedModel, empty_model
from fecosr.storage.parameters import read_parameters


def read_new_items(path: Path) -> dict[str, str]:
    """Return title by item id from a CSV or Parquet file with the columns item and title.

    Raises:
        DataError: the file cannot be used, an item has no title, or stands there twice.
    """
    table = read_table(path)
    table.require("item", "title")
    for name in ("item", "title"):
        text = pl.col(name).cast(pl.String)
        table.refuse_where(
            text.is_null() | (text.str.strip_chars() == ""),
            f"column {name} is empty",
            remedy="complete or delete the line",
        )
    frame = table.frame.select(pl.col("item", "title").cast(pl.String))
    if frame.is_empty():
        raise DataError("holds no item", remedy="give at least one", source=str(path))
    table.refuse_where(
        table.frame.select(pl.col("item").cast(pl.String).is_duplicated()).to_series(),
        "an item stands here more than once",
        remedy="give each item one title",
    )
    return dict(frame.iter_rows())


def with_new_items(
    served: ServedModel, titles: Mapping[str, str], access: EmbeddingAccess = NO_ACCESS
) -> tuple[ServedModel, int]:
    """Return the model over a larger catalogue, and how many of the items it knew already.

    A new item enters with the vector of its title, the one that was given for it, or the one that the sum of
    sketches has for its id because another market sells it, through projector and adapter, and with a local
    embedding of zero: what the model says of an item that training never touched. Items it knew stay as they
    are.

    Args:
        served: the model.
        titles: of the new items, by id.
        access: how this machine gets at the embedding that the model was trained with, if it was; its path is
            that of the sum of sketches, where vectors are made from behaviour.

    Raises:
        ConfigError: nothing is known of new items here: this model's semantic vectors are made from something
            else, or the text model or the vectors they are made from are not on this machine.
        OtherSemanticSpace: it is another text model, or another sum, than the one of the training.
    """
    facts = served.facts.semantics
    if facts.kind not in {"behaviour", "vectors"} and not facts.has_text:
        raise ConfigError(
            f"new items cannot be scored: this market's semantic vectors are made from {facts.source}",
            remedy="train on a catalogue with titles",
        )
    known = served.catalogue.items
    fresh = {item: title for item, title in titles.items() if item not in set(known.item_ids)}
    if not fresh:
        return served, len(titles)
    item_ids = (*known.item_ids, *fresh)
    order = sorted(range(len(item_ids)), key=item_ids.__getitem__)
    sketches = _sketches(facts, access) if facts.kind == "behaviour" else None
    settings = served.facts.training.learning.semantics
    vectors = catalogue_semantics(
        tuple(fresh), tuple(fresh.values()), settings, sketches, access=access
    ).vectors
    places = torch.tensor(order)
    all_titles = (*(known.titles or ("",) * len(known)), *fresh.values())
    catalogue = ServedCatalogue(
        Catalogue(tuple(item_ids[place] for place in order), tuple(all_titles[place] for place in order)),
        np.append(served.catalogue.in_training, np.zeros(len(fresh), dtype=np.bool_))[order],
    )
    semantics = torch.cat([served.semantics, torch.from_numpy(vectors)])[places]  # [V + new, Z]
    return ServedModel(served.facts, catalogue, semantics, _grown(served, places)), len(titles) - len(fresh)


def _sketches(facts: SemanticsFacts, access: EmbeddingAccess) -> FloatArray:
    """Return the sum of sketches that the model's vectors were made from."""
    if access.path is None:
        raise ConfigError(
            "new items cannot be scored without the sum of sketches that this model's vectors are made from",
            remedy="give --embedding the file under sketch/ in the node's storage folder",
        )
    try:
        sketches = read_parameters(access.path)
    except StorageError as error:
        raise ConfigError(str(error), remedy="give the file under sketch/ in the node's folder") from None
    if parameters_hash(sketches).hex() != facts.sketch_hash:
        raise OtherSemanticSpace(
            "this is another sum of sketches than the model's vectors are made from",
            remedy="give that of the run the model comes from",
            source=str(access.path),
        )
    return sketches


def _grown(served: ServedModel, places: Tensor) -> MarketModel:
    """Return the model with zero rows for new items in every table with one row per item of this market."""
    num_items = len(served.catalogue.items)
    model = empty_model(served.facts.training.learning, len(places))
    new_number = torch.argsort(places)  # [V + new]
    grown = {}
    for name, target in model.state_dict().items():
        value = served.model.state_dict()[name]
        if value.dtype == torch.int64:
            value = new_number[value]
        if value.shape != target.shape:
            zeros = value.new_zeros(len(places) - num_items, *value.shape[1:])
            value = torch.cat([value, zeros])[places]
        grown[name] = value
    model.load_state_dict(grown)
    return model.eval()
