"""Which markets a folder holds, and which users occur in more than one of them.

No market node needs this: it is for the tools that prepare several nodes on one machine.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fecosr.data.interactions import market_name, read_interactions
from fecosr.data.readers.online_retail import FILE_NAMES as RETAIL_FILES
from fecosr.data.readers.xmarket import FILE_ENDINGS as XMARKET_ENDINGS
from fecosr.data.settings import RETAIL_COUNTRIES, DataKind, DataSettings
from fecosr.errors import DataError

NamedSettings = tuple[tuple[str, DataSettings], ...]

_KINDS: Final[dict[str, DataKind]] = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".parquet": "parquet",
    ".inter": "recbole",
}
_SEQUENCE_ENDINGS: Final = (".txt", ".txt.gz")


@dataclass(frozen=True, slots=True)
class Overlap:
    """Say that a user occurs in several markets, and which one keeps it: that with most interactions."""

    user: str
    kept_in: str
    dropped_from: tuple[str, ...]


def discover_markets(path: Path) -> NamedSettings:
    """Return the markets that a folder or a whole data set in one file holds, with settings to read each.

    Known are a folder of XMarket files, Online Retail, a folder with one `.csv`, `.csv.gz`, `.parquet` or
    `.inter` per market, and user sequences: one `.txt` or `.txt.gz`, or a folder with nothing else.

    Raises:
        DataError: there is nothing of the kind, or two files would be the same market.
    """
    if path.is_file() and path.name.endswith((".csv", ".csv.gz")):
        return _retail_markets(path)
    if path.is_file() and _holds_sequences(path):
        return _one_each([(path, "sequences")])
    if not path.is_dir():
        raise DataError(
            "no folder of markets", remedy="give a folder with one file per market", source=str(path)
        )
    files = sorted(file for file in path.iterdir() if file.is_file())
    if xmarket := [file for file in files if file.name.endswith(XMARKET_ENDINGS)]:
        return _one_each((file, "xmarket") for file in xmarket)
    if retail := [file for file in files if file.name in RETAIL_FILES]:
        return _retail_markets(retail[0])
    markets = _one_each((file, kind) for file in files if (kind := _kind(file)))
    # A text beside files of another format explains them more often than it is a market.
    markets = markets or _one_each((file, "sequences") for file in files if _holds_sequences(file))
    if not markets:
        raise DataError(
            "the folder holds no market",
            remedy="put one .csv, .parquet, .inter or .txt file per market in it",
            source=str(path),
        )
    return markets


def overlapping_users(markets: Sequence[DataSettings]) -> tuple[Overlap, ...]:
    """Return the users that occur in several of these markets, by user.

    Raises:
        DataError: some market's data cannot be used.
    """
    sizes: dict[str, int] = {}
    homes: dict[str, list[str]] = defaultdict(list)
    for settings in markets:
        name, users = market_name(settings), read_interactions(settings)["user"]
        sizes[name] = len(users)
        for user in users.unique().to_list():
            homes[user].append(name)
    overlaps = []
    for user, names in sorted(homes.items()):
        if len(names) > 1:
            largest, *others = sorted(names, key=lambda name: (-sizes[name], name))
            overlaps.append(Overlap(user, largest, tuple(others)))
    return tuple(overlaps)


def without_overlaps(markets: NamedSettings) -> NamedSettings:
    """Return the markets with every overlapping user excluded from all but its largest market.

    Raises:
        DataError: some market's data cannot be used.
    """
    dropped: dict[str, list[str]] = defaultdict(list)
    for overlap in overlapping_users([settings for _, settings in markets]):
        for name in overlap.dropped_from:
            dropped[name].append(overlap.user)
    return tuple(
        (name, replace(settings, exclude_users=(*settings.exclude_users, *dropped[name])))
        for name, settings in markets
    )


def _retail_markets(path: Path) -> NamedSettings:
    """Return the six markets of Online Retail."""
    return tuple(
        (name, DataSettings(kind="online_retail", path=str(path), market=name)) for name in RETAIL_COUNTRIES
    )


def _one_each(files: Iterable[tuple[Path, DataKind]]) -> NamedSettings:
    """Return one market per file, named after it."""
    markets: dict[str, DataSettings] = {}
    for file, kind in files:
        name = market_name(DataSettings(kind=kind, path=str(file)))
        if name in markets:
            raise DataError(
                f"a second file for market {name}", remedy="rename or remove one", source=str(file)
            )
        settings = DataSettings(kind=kind, path=str(file), market=name)
        # XMarket is published filtered; filtering it again would empty the small markets' catalogues.
        markets[name] = replace(settings, min_core=1) if kind == "xmarket" else settings
    return tuple(markets.items())


def _holds_sequences(file: Path) -> bool:
    """Return whether a file's name is that of user sequences."""
    name = file.name.lower()
    return name.endswith(_SEQUENCE_ENDINGS) and not name.endswith(XMARKET_ENDINGS)


def _kind(file: Path) -> DataKind | None:
    """Return the format of a file, told by its ending."""
    return next((kind for ending, kind in _KINDS.items() if file.name.lower().endswith(ending)), None)
