"""Which interactions one market node trains on.

These are sections of the node's configuration file, so they import neither polars nor torch.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, get_args

from fecosr.ids import node_id

DataKind = Literal["synthetic", "xmarket", "recbole", "csv", "parquet", "online_retail", "sequences"]

RETAIL_COUNTRIES: Final[dict[str, tuple[str, ...]]] = {
    "uk": ("United Kingdom",),
    "de": ("Germany",),
    "fr": ("France",),
    "iberia-italy": ("Spain", "Portugal", "Italy"),
    "benelux-ch": ("Belgium", "Netherlands", "Switzerland"),
    "nordics": ("Norway", "Finland", "Sweden", "Denmark"),
}
"""The markets we cut UCI Online Retail into: countries, or groups of them, with enough customers."""


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Name the columns of a CSV or Parquet file; empty `title` and `rating` mean the file has none."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    user: str = "user"
    item: str = "item"
    timestamp: str = "timestamp"
    title: str = ""
    rating: str = ""

    def __post_init__(self) -> None:
        """Refuse a required column without a name, and one column in two roles."""
        if not (self.user and self.item and self.timestamp):
            raise ValueError("columns: user, item and timestamp must each name a column")
        names = [name for name in (self.user, self.item, self.timestamp, self.title, self.rating) if name]
        if len(set(names)) != len(names):
            raise ValueError(f"columns: the same column has two roles in {', '.join(names)}")


@dataclass(frozen=True, slots=True)
class SyntheticSettings:
    """Describe one generated market; `seed`, `num_categories` and `num_topics` must agree across markets.

    Args:
        seed: of the behaviour process that all markets share and, with its name, of the market itself.
        num_users: how many users the market has.
        num_items: how many items its catalogue has.
        num_categories: of the shared behaviour process.
        num_topics: sub-topics in each category.
        mean_length: mean number of interactions of one user, at least `min_length`.
        min_length: fewest interactions of one user.
        popularity_exponent: of the Zipf law of the items within one category.
        shared_item_share: part of the catalogue that consists of items sold in every market.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    seed: int = 0
    num_users: int = 400
    num_items: int = 400
    num_categories: int = 32
    num_topics: int = 4
    mean_length: float = 9.0
    min_length: int = 5
    popularity_exponent: float = 0.6
    shared_item_share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse sizes from which no market can be generated."""
        if self.seed < 0:
            raise ValueError("synthetic.seed must not be negative")
        if self.num_users < 1 or self.num_topics < 1:
            raise ValueError("synthetic.num_users and synthetic.num_topics must be at least 1")
        if self.num_categories < 2:
            raise ValueError("synthetic.num_categories must be at least 2")
        if self.num_items < 2 * self.num_categories:
            raise ValueError("synthetic.num_items must be at least twice synthetic.num_categories")
        if not 3 <= self.min_length <= self.mean_length <= self.num_items / 4:
            raise ValueError("synthetic: 3 <= min_length <= mean_length <= num_items / 4 must hold")
        if not 0.0 <= self.popularity_exponent <= 3.0:
            raise ValueError("synthetic.popularity_exponent must be in 0 .. 3")
        if not 0.0 <= self.shared_item_share <= 1.0:
            raise ValueError("synthetic.shared_item_share must be in 0 .. 1")


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Say where the interactions of one market come from.

    Args:
        kind: the format of the data, or "synthetic".
        path: the file, or for xmarket and online_retail also the folder that holds it; empty for synthetic.
        market: which market of `path`; may be empty where `path` is one market's file: its name counts.
        columns: names of the columns (csv and parquet).
        separator: of the columns (csv).
        min_core: users and items with fewer interactions are dropped, repeatedly; 1 keeps everything.
        exclude_users: users dropped before anything else, such as those that a bigger market also has.
        merge_families: whether variants of one product become one item (see `fecosr.data.families`).
        synthetic: what to generate (synthetic).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    kind: DataKind
    path: str = ""
    market: str = ""
    columns: ColumnNames = field(default_factory=ColumnNames)
    separator: str = ","
    min_core: int = 5
    exclude_users: tuple[str, ...] = ()
    merge_families: bool = False
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)

    def __post_init__(self) -> None:
        """Refuse what no reader could follow."""
        if self.kind not in get_args(DataKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(DataKind))}, not {self.kind!r}")
        if self.kind != "synthetic" and not self.path:
            raise ValueError(f"path must name the {self.kind} file or folder")
        if self.market:
            node_id(self.market)
        if self.kind == "synthetic" and not self.market:
            raise ValueError("market must name the synthetic market: its name is part of the seed")
        if self.kind == "online_retail" and self.market not in RETAIL_COUNTRIES:
            raise ValueError(f"market must be one of {', '.join(RETAIL_COUNTRIES)} for online_retail")
        if len(self.separator) != 1 or not self.separator.isascii() or self.separator in '\n\r"':
            raise ValueError("separator must be one ASCII character, no quote and no line break")
        if self.min_core < 1:
            raise ValueError("min_core must be at least 1 (1 keeps every user and item)")


DEMO_MARKETS: Final[dict[str, tuple[int, int]]] = {
    "north": (1200, 600),
    "south": (600, 450),
    "east": (400, 350),
    "west": (250, 300),
    "isle": (150, 250),
}
"""Users and items of the built-in markets: one that could nearly learn alone, and four that cannot."""


def demo_markets(seed: int = 0) -> tuple[tuple[str, DataSettings], ...]:
    """Return the built-in markets by name, largest first.

    They are not core-filtered: every generated user has at least five interactions, and rare items are part
    of what a small market has to cope with.
    """
    return tuple(
        (
            name,
            DataSettings(
                kind="synthetic",
                market=name,
                min_core=1,
                synthetic=SyntheticSettings(seed=seed, num_users=num_users, num_items=num_items),
            ),
        )
        for name, (num_users, num_items) in DEMO_MARKETS.items()
    )
