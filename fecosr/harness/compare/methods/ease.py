"""EASE: a ridge regression of items on items, the strongest method here that learns no sequence.

Reference: Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data".
"""

from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.study import Study
from fecosr.training.baselines.ease import ease_scorer


class EASE:
    """Use by itself what every market model may add to its logits."""

    name: ClassVar = "ease"
    label: ClassVar = "EASE"
    description: ClassVar = (
        "A ridge regression of items on items, recent ones counting more: the part of a market model that "
        "needs no gradient, by itself."
    )
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = False
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return the regression of every market."""
        adapter, max_length = study.settings.adapter, study.settings.encoder.max_length
        return Trained({name: ease_scorer(data, adapter, max_length) for name, data in study.markets.items()})
