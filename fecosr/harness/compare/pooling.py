"""All markets' items on one list: what only a method that breaks isolation, or a control, may look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fecosr.data.sequences import NO_TARGET, ItemArray, Split
from fecosr.harness.compare.study import Study
from fecosr.recommender.soft_targets import hard_targets
from fecosr.training.evaluation import Scorer
from fecosr.training.prepared import PreparedMarket

RowArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class UnionCatalogue:
    """Hold every item once, whichever markets sell it.

    Attributes:
        item_ids: ascending.
        rows: for each market, the place of each of its items in `item_ids`, int64 [V_m].
        semantics: float32 [V, Z], on the processor; an item of several markets has the vector of the largest
            of them.
    """

    item_ids: tuple[str, ...]
    rows: Mapping[str, RowArray] = field(repr=False)
    semantics: Tensor = field(repr=False)


def union_catalogue(study: Study) -> UnionCatalogue:
    """Return the items of all markets of a study."""
    item_ids = tuple(sorted({item for items in study.catalogues.values() for item in items.item_ids}))
    place = {item: row for row, item in enumerate(item_ids)}
    rows = {
        name: np.array([place[item] for item in study.catalogues[name].item_ids], np.int64)
        for name in study.markets
    }
    dimension = study.markets[study.largest].semantics.shape[1]
    semantics = torch.zeros(len(item_ids), dimension)
    # The largest market comes first in a study and writes last.
    for name in reversed(list(study.markets)):
        semantics[torch.from_numpy(rows[name])] = study.markets[name].semantics.cpu()
    return UnionCatalogue(item_ids, rows, semantics)


def pooled_market(study: Study, union: UnionCatalogue) -> PreparedMarket:
    """Return all users of all markets as one market over the union catalogue."""
    splits = [(data.split, union.rows[name]) for name, data in study.markets.items()]
    hard = hard_targets(len(union.item_ids))
    return replace(
        study.markets[study.largest],
        market="pool of all markets",
        num_items=len(union.item_ids),
        split=Split(
            train=tuple(
                rows[sequence].astype(np.int32) for split, rows in splits for sequence in split.train
            ),
            validation_target=_concatenated([(split.validation_target, rows) for split, rows in splits]),
            test_target=_concatenated([(split.test_target, rows) for split, rows in splits]),
        ),
        semantics=union.semantics,
        soft=hard,
        hard=hard,
    ).on(study.device)


def scorer_in_market(pooled: Scorer, rows: RowArray) -> Scorer:
    """Return a pooled model's scores of one market's own items for that market's own histories."""

    def score(histories: Sequence[ItemArray]) -> npt.NDArray[np.float32]:
        return pooled([rows[history].astype(np.int32) for history in histories])[:, rows]

    return score


def _concatenated(targets: Sequence[tuple[ItemArray, RowArray]]) -> ItemArray:
    mapped = [np.where(items == NO_TARGET, NO_TARGET, rows[items]) for items, rows in targets]
    return np.concatenate(mapped).astype(np.int32)
