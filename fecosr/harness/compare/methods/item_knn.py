"""Item-KNN: recommend what was bought by those who bought the same."""

from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.study import Study
from fecosr.training.baselines.item_knn import item_knn_scorer


class ItemKNN:
    """Sum the cosine similarities of co-occurrence counts."""

    name: ClassVar = "item-knn"
    label: ClassVar = "item-KNN"
    description: ClassVar = "Recommends what was bought by those who bought the same; counts, learns nothing."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = False
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return the neighbours of every market's items."""
        num_neighbours = study.settings.rivals.num_neighbours or None
        return Trained({name: item_knn_scorer(data, num_neighbours) for name, data in study.markets.items()})
