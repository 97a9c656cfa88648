"""From a table of interactions to one chronological sequence of item indices per user."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from fecosr.data.catalogue import Catalogue
from fecosr.data.interactions import market_name, read_interactions
from fecosr.data.settings import DataSettings
from fecosr.errors import DataError

ItemArray = npt.NDArray[np.int32]

NO_TARGET = -1
"""Stands in a split where a user is too short to be evaluated."""


@dataclass(frozen=True, slots=True, eq=False)
class MarketSequences:
    """Hold everything one market node knows about its users; none of it ever leaves the node.

    Attributes:
        market: the market's name.
        catalogue: its items; sequences index into it.
        user_ids: ascending.
        sequences: one per user, oldest first; users in the order of `user_ids`.
    """

    market: str
    catalogue: Catalogue
    user_ids: tuple[str, ...]
    sequences: tuple[ItemArray, ...]

    @property
    def num_items(self) -> int:
        """Return the size of the catalogue, V."""
        return len(self.catalogue)

    @property
    def num_users(self) -> int:
        """Return the number of users, U."""
        return len(self.user_ids)

    @property
    def num_interactions(self) -> int:
        """Return the number of interactions of all users."""
        return sum(len(sequence) for sequence in self.sequences)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Hold a leave-one-out split: train first, then one validation target, then one test target.

    The history for the validation target is `train`; for the test target it is `train` plus the validation
    target (`test_histories`). Users with fewer than three interactions have `NO_TARGET` twice and only train.
    """

    train: tuple[ItemArray, ...]  # U sequences
    validation_target: ItemArray  # [U]
    test_target: ItemArray  # [U]

    @property
    def evaluated_users(self) -> npt.NDArray[np.int64]:
        """Return the indices of the users that have targets."""  # [E]
        return np.flatnonzero(self.test_target != NO_TARGET)

    @property
    def test_histories(self) -> tuple[ItemArray, ...]:
        """Return what was known before the test target, for every user."""
        return tuple(
            items if target == NO_TARGET else np.append(items, target)
            for items, target in zip(self.train, self.validation_target, strict=True)
        )


def split_leave_one_out(market: MarketSequences) -> Split:
    """Return the last item of every user as test target and the one before as validation target."""
    validation = np.full(market.num_users, NO_TARGET, dtype=np.int32)  # [U]
    test = validation.copy()  # [U]
    train = list(market.sequences)
    for user, sequence in enumerate(market.sequences):
        if len(sequence) >= 3:
            train[user], validation[user], test[user] = sequence[:-2], sequence[-2], sequence[-1]
    return Split(tuple(train), validation, test)


def k_core(frame: pl.DataFrame, k: int) -> pl.DataFrame:
    """Return the largest part of `frame` in which every user and every item has at least `k` interactions.

    The result does not depend on the order in which users and items are removed; row order is kept.
    """
    while True:
        enough = (pl.len().over("user") >= k) & (pl.len().over("item") >= k)
        kept = frame.filter(enough)
        if kept.height == frame.height:
            return frame
        frame = kept


def build_market(frame: pl.DataFrame, market: str, min_core: int) -> MarketSequences:
    """Return the market's sequences: chronological, ties in file order, after the k-core filter.

    Args:
        frame: a table of interactions as `read_interactions` returns it.
        market: the market's name.
        min_core: fewest interactions of a user and of an item that is kept.

    Raises:
        DataError: nothing is left.
    """
    core = k_core(frame, min_core)
    if core.is_empty():
        raise DataError(
            f"the {min_core}-core filter leaves none of the {frame.height} interactions of market {market}",
            remedy="lower min_core or give more data",
        )
    catalogue = _catalogue(core)
    index = pl.DataFrame({"item": catalogue.item_ids}).with_row_index("index")
    per_user = (
        core.join(index, on="item", how="left")
        .sort("user", "timestamp", "row")
        .group_by("user", maintain_order=True)
        .agg(pl.col("index").cast(pl.Int32))
    )
    return MarketSequences(
        market=market,
        catalogue=catalogue,
        user_ids=tuple(per_user["user"].to_list()),
        sequences=tuple(sequence.to_numpy() for sequence in per_user["index"]),
    )


def load_market(settings: DataSettings) -> MarketSequences:
    """Return one market's sequences; the one door from configuration to data.

    Raises:
        DataError: the files cannot be used, or no interactions are left after filtering.
    """
    return build_market(read_interactions(settings), market_name(settings), settings.min_core)


def _catalogue(core: pl.DataFrame) -> Catalogue:
    """Return the items of a table, each with its most frequent title, of equals the alphabetically first."""
    item_ids = set(core["item"].unique().to_list())
    if "title" not in core.columns:
        return Catalogue.of(item_ids)
    titles = (
        core.filter(pl.col("title").is_not_null())
        .group_by("item", "title")
        .len()
        .sort("item", "len", "title", descending=[False, True, False])
        .unique("item", keep="first", maintain_order=True)
    )
    return Catalogue.of(item_ids, dict(zip(titles["item"], titles["title"], strict=True)))
