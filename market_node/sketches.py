"""This market's sketch of behaviour, and the sum of all markets' sketches that came back."""

from dataclasses import dataclass, field

from fecosr.data.sequences import MarketSequences
from fecosr.federation.aggregation import Vector
from fecosr.recommender.settings import SemanticsSettings
from fecosr.training.sketch import sketch_of_market
from market_node.state import NodeState


@dataclass(frozen=True, slots=True)
class MarketSketches:
    """Sketch the training part of one market's data, and keep the sum in its folder."""

    data: MarketSequences = field(repr=False)
    semantics: SemanticsSettings
    state: NodeState = field(repr=False)

    def make(self) -> Vector:
        """Return this market's sketch, float32 [length]; the same whenever it is asked for."""
        return sketch_of_market(self.data, self.semantics)

    def has(self, sketch_hash: bytes) -> bool:
        """Return whether the sum with this hash is stored."""
        return self.state.has_sketch(sketch_hash)

    def keep(self, sketch_hash: bytes, sketch: Vector) -> None:
        """Store the sum with this hash, which was verified."""
        self.state.keep_sketch(sketch_hash, sketch)
