"""What a method is, and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fecosr.harness.compare.heterogeneity import RoundMeasures
from fecosr.harness.compare.study import Study
from fecosr.training.evaluation import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """Hold what a method made of a study.

    Attributes:
        scorers: one per market of the study.
        rounds: what was measured in each federated round; empty for a method without rounds.
    """

    scorers: Mapping[str, Scorer] = field(repr=False)
    rounds: tuple[RoundMeasures, ...] = ()


class Method(Protocol):
    """Train on a study. A method is stateless: everything is in its arguments."""

    @property
    def name(self) -> str:
        """Return the name on the command line and in files: lower case and hyphens."""

    @property
    def label(self) -> str:
        """Return the name in tables."""

    @property
    def description(self) -> str:
        """Return one sentence for the report."""

    @property
    def breaks_isolation(self) -> bool:
        """Return whether interactions, item tables or a market's own model leave a market."""

    @property
    def uses_other_markets(self) -> bool:
        """Return whether a market gets anything from the others, so that it could lose by taking part."""

    @property
    def stage(self) -> str:
        """Return the pretraining it shares with other methods, or its own name."""

    def train(self, study: Study) -> Trained:
        """Return one scorer per market, having looked at no test target."""
