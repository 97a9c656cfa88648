"""The markets of a comparison, found, described or generated: as they are, and with families merged."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, get_args

from fecosr.data.markets import NamedSettings, discover_markets, without_overlaps
from fecosr.data.sequences import MarketSequences, load_market
from fecosr.data.settings import DataSettings, demo_markets
from fecosr.errors import ConfigError, DataError
from fecosr.harness.compare.markets_file import read_markets_file

Variant = Literal["raw", "merged"]
VARIANTS: Final[tuple[Variant, ...]] = get_args(Variant)

FEWEST_AFTER_MERGING: Final = 3
"""Merging leaves items with a single review and users with hardly one; what nobody could learn is dropped."""
FEWEST_TO_EVALUATE: Final = 3
FEWEST_MARKETS: Final = 2


def markets_of(data: Path | None) -> NamedSettings:
    """Return the markets of a folder or file, or the generated ones; a user of several stays in the largest.

    Raises:
        ConfigError: a file that describes markets is not as it should be.
        DataError: the data cannot be used, or hold one market only.
    """
    if data is None:
        return demo_markets()
    described = read_markets_file(data) if data.suffix == ".toml" else discover_markets(data)
    markets = without_overlaps(described)
    if len(markets) < FEWEST_MARKETS:
        raise DataError("there is one market only", remedy="give a folder of several", source=str(data))
    return markets


def variants_named(names: Sequence[str], markets: NamedSettings) -> tuple[Variant, ...]:
    """Return the variants with these names; without names, all that the data allow.

    Raises:
        ConfigError: there is no such variant, or the data have no stars to merge families by.
    """
    mergeable = all(_has_stars(settings) for _, settings in markets)
    if not names:
        return VARIANTS if mergeable else ("raw",)
    for name in names:
        if name not in VARIANTS:
            raise ConfigError(f"there is no variant {name!r}", remedy=f"choose from {', '.join(VARIANTS)}")
    if "merged" in names and not mergeable:
        raise ConfigError(
            "these data have no stars to merge families of items by", remedy="leave --variants merged out"
        )
    return tuple(variant for variant in VARIANTS if variant in names)


def load_variant(markets: NamedSettings, variant: Variant) -> dict[str, MarketSequences]:
    """Return the markets' sequences, by name.

    Raises:
        DataError: the files cannot be used, or a market has no user whom one could evaluate.
    """
    loaded = {}
    for name, settings in markets:
        chosen = settings
        if variant == "merged":
            min_core = max(settings.min_core, FEWEST_AFTER_MERGING)
            chosen = replace(settings, merge_families=True, min_core=min_core)
        loaded[name] = load_market(chosen)
        if all(len(sequence) < FEWEST_TO_EVALUATE for sequence in loaded[name].sequences):
            raise DataError(
                f"no user of market {name} has {FEWEST_TO_EVALUATE} interactions left",
                remedy="give it more data, or leave the market or the variant out",
                source=settings.path,
            )
    return loaded


def digest_of_data(data: Mapping[str, MarketSequences]) -> str:
    """Return the SHA-256 of everything in the data that a method or its evaluation reads."""
    digest = hashlib.sha256()
    for name, market in sorted(data.items()):
        titles = market.catalogue.titles or ()
        for text in (name, *market.catalogue.item_ids, "titles", *titles, "sequences"):
            digest.update(f"{len(text)}:{text}".encode())
        for sequence in market.sequences:
            digest.update(len(sequence).to_bytes(8, "big") + sequence.astype("<i4").tobytes())
    return digest.hexdigest()


def _has_stars(settings: DataSettings) -> bool:
    return settings.kind == "xmarket" or bool(settings.columns.rating)
