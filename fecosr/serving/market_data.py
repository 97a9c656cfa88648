"""The market's interactions, wherever they stand now, in the numbering of its model."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from fecosr.data.catalogue import Catalogue
from fecosr.data.sequences import ItemArray, MarketSequences, load_market
from fecosr.data.settings import DataKind, DataSettings
from fecosr.errors import ConfigError, DataError
from fecosr.serving.facts import ModelFacts

_KINDS: Final[dict[str, DataKind]] = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".parquet": "parquet",
    ".inter": "recbole",
    ".txt": "sequences",
    ".txt.gz": "sequences",
}


@dataclass(frozen=True, slots=True, eq=False)
class NumberedData:
    """Hold a market's sequences as its model numbers items.

    Attributes:
        sequences: over the model's catalogue.
        unknown_interactions: left out because the model does not know their items.
        same_as_trained: whether these are the very data of the training; None where that is not known.
    """

    sequences: MarketSequences = field(repr=False)
    unknown_interactions: int
    same_as_trained: bool | None


def fingerprint(market: MarketSequences) -> str:
    """Return the SHA-256 of a market's users, items and sequences, in hex."""
    digest = hashlib.sha256()
    for names in (market.catalogue.item_ids, market.user_ids):
        digest.update(len(names).to_bytes(8, "big"))
        for name in names:
            encoded = name.encode(errors="surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    for sequence in market.sequences:
        digest.update(len(sequence).to_bytes(8, "big") + sequence.astype("<i4").tobytes())
    return digest.hexdigest()


def lasting_settings(settings: DataSettings) -> DataSettings:
    """Return `settings` with a path that means the same from every folder of this machine."""
    return replace(settings, path=str(Path(settings.path).absolute())) if settings.path else settings


def data_settings(facts: ModelFacts, given: Path | None) -> DataSettings:
    """Return how to read the market's data: as at the training, or from the path that is given instead.

    Args:
        facts: of the model.
        given: data in the format of the training; where that is unknown or "synthetic", the ending decides.

    Raises:
        ConfigError: nobody says where the data are, or their format is unknown.
    """
    known = facts.data.settings
    if given is None:
        if known is None:
            raise ConfigError("this copy does not say where the market's data are", remedy="give --data")
        return known
    path = str(given.absolute())
    if known is not None and known.kind != "synthetic":
        return replace(known, path=path)
    kind = next((kind for ending, kind in _KINDS.items() if path.lower().endswith(ending)), None)
    if kind is None:
        raise ConfigError(
            "its format is not known", remedy=f"end its name in {', '.join(_KINDS)}", source=path
        )
    return DataSettings(kind=kind, path=path, market=facts.market, min_core=known.min_core if known else 1)


def read_numbered(settings: DataSettings, facts: ModelFacts, catalogue: Catalogue) -> NumberedData:
    """Return the market's data, filtered as at the training, over the catalogue of its model.

    Raises:
        DataError: the data cannot be used, or have no item in common with the model.
    """
    market = load_market(settings)
    trained = facts.data.fingerprint
    same = None if trained is None else fingerprint(market) == trained
    if market.catalogue.item_ids == catalogue.item_ids:
        return NumberedData(market, 0, same)
    place = {item: number for number, item in enumerate(catalogue.item_ids)}
    numbers = np.array([place.get(item, -1) for item in market.catalogue.item_ids], dtype=np.int32)  # [V']
    sequences = [_known(numbers[sequence]) for sequence in market.sequences]
    unknown = market.num_interactions - sum(len(sequence) for sequence in sequences)
    kept = [user for user, sequence in enumerate(sequences) if len(sequence)]
    if not kept:
        raise DataError(
            "none of the items is in the catalogue of the model",
            remedy="give the data of the model's market",
            source=settings.path,
        )
    renumbered = MarketSequences(
        market=market.market,
        catalogue=catalogue,
        user_ids=tuple(market.user_ids[user] for user in kept),
        sequences=tuple(sequences[user] for user in kept),
    )
    return NumberedData(renumbered, unknown, same)


def _known(numbers: ItemArray) -> ItemArray:
    known: ItemArray = numbers[numbers >= 0]
    return known
