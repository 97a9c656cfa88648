"""EASE: the regression of items on items by itself, without a model beside it.

It is the part of every market model that needs no gradient; what a model is worth shows beside this.

Reference: Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data"; recent items count more here.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from fecosr.data.sequences import ItemArray
from fecosr.recommender.item_regression import ItemRegression
from fecosr.recommender.settings import AdapterSettings
from fecosr.training.evaluation import Scorer, right_padded
from fecosr.training.prepared import PreparedMarket


def ease_scorer(data: PreparedMarket, settings: AdapterSettings, max_length: int) -> Scorer:
    """Return a function that scores every item by what a history's latest items predict of it.

    Args:
        data: the market; its training part is regressed.
        settings: of the regression, as in a market model.
        max_length: of a longer history only the latest that many items count, as in a market model.
    """
    regression = ItemRegression(data.num_items, settings)
    regression.fit(data.split.train)

    def score(histories: Sequence[ItemArray]) -> npt.NDArray[np.float32]:
        sequences, lengths = right_padded(histories, max_length)
        with torch.no_grad():
            scores: npt.NDArray[np.float32] = regression(sequences, lengths).numpy()  # [B, V]
        return scores

    return score
