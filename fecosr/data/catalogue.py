"""The items of one market in a fixed order, and what they are called."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from fecosr.errors import MisuseError


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Hold a market's items sorted by id, so that the same data gives the same indices everywhere.

    Attributes:
        item_ids: strictly ascending; an item's index 0 .. V-1 is its place here.
        titles: one per item in the same order, empty where an item has none; None if the data has no titles.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse an order that two readers of the same data could disagree on."""
        if any(first >= second for first, second in pairwise(self.item_ids)):
            raise MisuseError("item_ids of a catalogue must be strictly ascending")
        if self.titles is not None and len(self.titles) != len(self.item_ids):
            raise MisuseError(f"{len(self.titles)} titles for {len(self.item_ids)} items")

    @classmethod
    def of(cls, item_ids: set[str], titles: Mapping[str, str] | None = None) -> "Catalogue":
        """Return the catalogue of `item_ids`, with the titles known for them."""
        ordered = tuple(sorted(item_ids))
        return cls(ordered, None if titles is None else tuple(titles.get(item, "") for item in ordered))

    def __len__(self) -> int:
        """Return the number of items, V."""
        return len(self.item_ids)

    def index(self, item_id: str) -> int:
        """Return the index of an item.

        Raises:
            MisuseError: the catalogue has no such item.
        """
        place = bisect_left(self.item_ids, item_id)
        if place == len(self.item_ids) or self.item_ids[place] != item_id:
            raise MisuseError(f"no item {item_id!r} in a catalogue of {len(self.item_ids)} items")
        return place
