"""Popularity: recommend everyone what the market bought most."""

from typing import ClassVar

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.study import Study
from fecosr.training.baselines.popularity import popularity_scorer


class Popularity:
    """Count how often each item was bought."""

    name: ClassVar = "popularity"
    label: ClassVar = "popularity"
    description: ClassVar = "Recommends everyone what the market bought most."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = False
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return the counts of every market."""
        return Trained({name: popularity_scorer(data) for name, data in study.markets.items()})
